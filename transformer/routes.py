"""The transformer's own routes: `/predict`, `/predict/batch` and `/info`."""

from __future__ import annotations

import re
from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from serving.call import Call
from serving.errors import RequestInvalid
from serving.metrics import Metrics
from serving.server.answers import json_response
from serving.server.edge import call_of
from serving.server.observe import Observer
from serving.v2 import Parameter
from serving.version import __version__
from transformer.forms import read_pictures
from transformer.model import TransformerModel
from transformer.pipeline import Answered
from transformer.settings import TransformerSettings

SINGLE_FIELDS: Final = ("file", "image")
BATCH_FIELDS: Final = ("files", "file", "image", "images")
QUERY: Final = ("top_k", "confidence_threshold")
_WHOLE: Final = re.compile(r"[0-9]{1,18}")


class PictureRoutes:
    """Pictures as people send them: a form with a file, or the file itself."""

    def __init__(self, model: TransformerModel, metrics: Metrics, settings: TransformerSettings) -> None:
        self._model = model
        self._observer = Observer(metrics)
        self._max_body_bytes = settings.max_body_bytes
        self._timeout_s = settings.infer_timeout_seconds

    def router(self) -> APIRouter:
        """Return the routes; `/predict` stands there twice, as the protocols' busy routes do."""
        router = APIRouter(tags=["pictures"])
        router.add_route("/predict", self.predict, methods=["POST"], include_in_schema=False)  # answers; see below
        picture = {"type": "string", "format": "binary"}
        router.add_api_route(
            "/predict",
            self.predict,
            methods=["POST"],
            response_model=None,
            openapi_extra=_form({"file": picture}, raw=True),
        )
        router.add_api_route(
            "/predict/batch",
            self.predict_batch,
            methods=["POST"],
            response_model=None,
            openapi_extra=_form({"files": {"type": "array", "items": picture}}, raw=False),
        )
        router.add_api_route("/info", self.info, methods=["GET"], response_model=None)
        return router

    async def predict(self, request: Request) -> Response:
        """Answer one picture: the form field `file` or `image`, or a body of the type `image/*`."""
        call = call_of(request)
        with self._observer.request(call):
            self._begin(call, request)
            pictures = await read_pictures(request, SINGLE_FIELDS, self._max_body_bytes)
            if len(pictures) > 1:
                raise RequestInvalid(f"{len(pictures)} pictures came; /predict takes one, and /predict/batch many")
            answered = await self._model.answer(pictures, _query(request), call)
            (answer,), (size,) = answered.answers, answered.sizes
            body = self._head(call, answered) | {"image": _size(size), "predictions": answer.to_json()}
        return json_response(body | {"timing_ms": _timing(call)})

    async def predict_batch(self, request: Request) -> Response:
        """Answer several pictures: the form field `files`, once for each."""
        call = call_of(request)
        with self._observer.request(call):
            self._begin(call, request)
            pictures = await read_pictures(request, BATCH_FIELDS, self._max_body_bytes)
            answered = await self._model.answer(pictures, _query(request), call)
            results = [
                {"image": _size(size), "predictions": answer.to_json()}
                for answer, size in zip(answered.answers, answered.sizes, strict=True)
            ]
            body = self._head(call, answered) | {"results": results}
        return json_response(body | {"timing_ms": _timing(call)})

    async def info(self) -> Response:
        """Tell what is served, and by which rules."""
        self._model.check_version(None)
        directory = self._model.pipeline.directory
        return json_response(
            {
                "server": {"name": "kserve-vision", "version": __version__},
                "model": {"name": self._model.name, "version": directory.contract.model.version},
                "contract": {"digest": directory.digest, **directory.contract.model_dump(mode="json")},
                "labels": len(directory.labels),
            }
        )

    def _begin(self, call: Call, request: Request) -> None:
        call.model_name = self._model.name
        call.limit(self._timeout_s)
        call.limit_by_header(request.headers)
        self._model.check_version(None)

    def _head(self, call: Call, answered: Answered) -> dict[str, object]:
        return {
            "success": True,
            "request_id": call.request_id,
            "model": {"name": self._model.name, "version": answered.model_version},
            "task": call.task,
        }


def _query(request: Request) -> dict[str, Parameter]:
    """Return the query's parameters; whole numbers are numbers.

    Raises:
        RequestInvalid: one is not known, such as `topk`.
    """
    unknown = [key for key in request.query_params if key not in QUERY]
    if unknown:
        raise RequestInvalid(f"the query parameter {unknown[0]:.40} is not one of {', '.join(QUERY)}")
    return {key: int(value) if _WHOLE.fullmatch(value) else value for key, value in request.query_params.items()}


def _size(size: tuple[int, int]) -> dict[str, int]:
    return {"width": size[0], "height": size[1]}


def _timing(call: Call) -> dict[str, float]:
    return {stage: round(milliseconds, 2) for stage, milliseconds in call.stages.items()}


def _form(properties: dict[str, object], *, raw: bool) -> dict[str, object]:
    """Describe a body for the API's documentation, which cannot see it in a handler that reads the request itself."""
    content: dict[str, object] = {"multipart/form-data": {"schema": {"type": "object", "properties": properties}}}
    if raw:
        content["image/*"] = {"schema": {"type": "string", "format": "binary"}}
    query = [
        {"in": "query", "name": "top_k", "schema": {"type": "integer", "minimum": 1}},
        {"in": "query", "name": "confidence_threshold", "schema": {"type": "number", "minimum": 0, "maximum": 1}},
    ]
    return {"parameters": query, "requestBody": {"required": True, "content": content}}
