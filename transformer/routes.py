"""The transformer's own routes: `/predict`, `/predict/batch`, `/info` and `/models`.

`?model=NAME&version=V` chooses what is asked, where the transformer has more than one.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from serving.call import Call
from serving.errors import RequestInvalid
from serving.metrics import Metrics
from serving.server.answers import json_response
from serving.server.body import Bodies
from serving.server.busy import BusyRouter
from serving.server.dataplane import VisionDataPlane
from serving.server.model import ServedModel, ServedVersion, told
from serving.server.observe import Observer
from serving.server.scope import call_of, headers_of, query_of
from serving.v2 import Parameter
from serving.version import __version__
from transformer.forms import read_pictures
from transformer.model import TransformerModel
from transformer.pipeline import Answered
from transformer.rendering import RENDER, wanted_format
from transformer.settings import PictureSettings
from transformer.tasks import TASKS

SINGLE_FIELDS: Final = ("file", "image")
BATCH_FIELDS: Final = ("files", "file", "image", "images")
CHOICE: Final = ("model", "version")
"""The query parameters that choose a model; the others are its task's options."""


class PictureRoutes:
    """Pictures as people send them: a form with a file, or the file itself."""

    def __init__(self, dataplane: VisionDataPlane, metrics: Metrics, bodies: Bodies, settings: PictureSettings) -> None:
        self._dataplane = dataplane
        self._default_name = settings.model_name
        self._observer = Observer(metrics)
        self._bodies = bodies
        self._timeout_s = settings.infer_timeout_seconds

    def router(self) -> BusyRouter:
        """Return the routes."""
        router = BusyRouter(tags=["pictures"])
        picture = {"type": "string", "format": "binary"}
        router.add_busy_route("/predict", self.predict, openapi_extra=_form({"file": picture}, raw=True))
        several = {"type": "array", "items": picture}
        router.add_busy_route("/predict/batch", self.predict_batch, openapi_extra=_form({"files": several}, raw=False))
        router.add_api_route(
            "/info", self.info, methods=["GET"], response_model=None, openapi_extra={"parameters": _choices()}
        )
        router.add_api_route("/models", self.models, methods=["GET"], response_model=None)
        return router

    async def predict(self, request: Request) -> Response:
        """Answer one picture: the form field `file` or `image`, or a body of the type `image/*`.

        `?render=true`, or `Accept: image/jpeg` (`png`, `webp`), asks for the picture with the answer drawn on it.
        """
        call = call_of(request)
        with self._observer.request(call), self._borrowed(call, request) as served:
            model = _transformer(served)
            picture_format = wanted_format(request)
            pictures = await read_pictures(request, SINGLE_FIELDS, self._bodies)
            if len(pictures) > 1:
                raise RequestInvalid(f"{len(pictures)} pictures came; /predict takes one, and /predict/batch many")
            answered = await model.answer(pictures, _options(request, model, RENDER), call)
            if picture_format is not None:
                drawn = await model.pipeline.draw(pictures[0], answered.answers[0], picture_format, call)
                return Response(drawn, media_type=picture_format.media_type)
            (predictions,) = await model.pipeline.to_json(answered, call)
            body = _head(call, answered) | {"image": _size(answered.sizes[0]), "predictions": predictions}
        return json_response(body | {"timing_ms": _timing(call)})

    async def predict_batch(self, request: Request) -> Response:
        """Answer several pictures: the form field `files`, once for each."""
        call = call_of(request)
        with self._observer.request(call), self._borrowed(call, request) as served:
            model = _transformer(served)
            pictures = await read_pictures(request, BATCH_FIELDS, self._bodies)
            answered = await model.answer(pictures, _options(request, model), call)
            predictions = await model.pipeline.to_json(answered, call)
            results = [
                {"image": _size(size), "predictions": each}
                for each, size in zip(predictions, answered.sizes, strict=True)
            ]
            body = _head(call, answered) | {"results": results}
        return json_response(body | {"timing_ms": _timing(call)})

    async def info(self, request: Request) -> Response:
        """Tell what is served, and by which rules."""
        name, version = self._choice(request)
        model = _transformer(self._dataplane.find(name).servable(version))
        directory = model.pipeline.directory
        return json_response(
            {
                "server": {"name": "kserve-vision", "version": __version__},
                "model": {"name": model.name, "version": model.version},
                "contract": {"digest": directory.digest, **directory.contract.model_dump(mode="json")},
                "labels": len(directory.labels),
            }
        )

    async def models(self) -> Response:
        """Tell which models are here, each with its versions: task, state, the reason where it cannot be asked."""
        return json_response({"models": [self._listed(model) for model in self._dataplane.repository.all()]})

    def _borrowed(self, call: Call, request: Request) -> AbstractContextManager[ServedVersion]:
        """Give the version that a request is for."""
        call.limit(self._timeout_s)
        call.limit_by_header(headers_of(request))
        return self._dataplane.borrowed(call, *self._choice(request))

    def _choice(self, request: Request) -> tuple[str, str | None]:
        """Return the name and the version that a request's query chooses.

        Raises:
            RequestInvalid: it names no model, and there is none that is meant then.
        """
        query = query_of(request)
        name, version = (query.get(key) for key in CHOICE)
        if name is None:
            name = self._default
        if name is None:
            raise RequestInvalid(
                f"say which model is asked, ?model=NAME: this server has {told(self._dataplane.names())}"
            )
        return name, version

    @property
    def _default(self) -> str | None:
        """The model that is asked where none is named: that of the settings, or the only one."""
        names = self._dataplane.names()
        if self._default_name in names:
            return self._default_name
        return names[0] if len(names) == 1 else None

    def _listed(self, model: ServedModel) -> dict[str, object]:
        versions = [
            {
                "version": each.version,
                "task": each.task,
                "state": each.state,
                "reason": each.reason,
                "default": each is model.latest,
            }
            for each in (*model.versions, *model.coming)
        ]
        return {"name": model.name, "default": model.name == self._default, "versions": versions}


def _transformer(served: ServedVersion) -> TransformerModel:
    assert isinstance(served, TransformerModel)  # noqa: S101  # this server makes no others
    return served


def _options(request: Request, model: TransformerModel, *others: str) -> dict[str, Parameter]:
    """Return what the query says beside the choice of a model, and `others`.

    Raises:
        RequestInvalid: one is not known, such as `topk`, or comes several times.
    """
    query = query_of(request)
    if not query:
        return {}
    known = [*model.pipeline.task.options_type.model_fields, *CHOICE, *others]
    unknown = [key for key in query if key not in known]
    if unknown:
        raise RequestInvalid(f"the query parameter {unknown[0]:.40} is not one of {', '.join(known)}")
    repeated = [key for key in known if len(query.getlist(key)) > 1]
    if repeated:
        raise RequestInvalid(f"the query parameter {repeated[0]} comes several times: give it once")
    return {key: value for key, value in query.items() if key not in (*CHOICE, *others)}


def _head(call: Call, answered: Answered) -> dict[str, object]:
    return {
        "success": True,
        "request_id": call.request_id,
        "model": {"name": call.model_name, "version": answered.model_version},
        "task": call.task,
    }


def _size(size: tuple[int, int]) -> dict[str, int]:
    return {"width": size[0], "height": size[1]}


def _timing(call: Call) -> dict[str, float]:
    return {stage: round(milliseconds, 2) for stage, milliseconds in call.stages.items()}


def _form(properties: dict[str, object], *, raw: bool) -> dict[str, object]:
    """Describe a body for the API's documentation, which cannot see it in a handler that reads the request itself."""
    content: dict[str, object] = {"multipart/form-data": {"schema": {"type": "object", "properties": properties}}}
    if raw:
        content["image/*"] = {"schema": {"type": "string", "format": "binary"}}
    options = _every_option()
    if raw:
        options[RENDER] = {"type": "boolean", "default": False, "description": "Answer the picture with its answer on."}
    query = [{"in": "query", "name": name, "schema": schema} for name, schema in options.items()]
    return {"parameters": [*_choices(), *query], "requestBody": {"required": True, "content": content}}


def _choices() -> list[dict[str, object]]:
    return [{"in": "query", "name": name, "schema": {"type": "string"}} for name in CHOICE]


def _every_option() -> dict[str, object]:
    """Describe what a query may hold: the options of all tasks, since what is served is known only later."""
    properties: dict[str, object] = {}
    for task in TASKS.values():
        properties |= task.options_type.model_json_schema()["properties"]
    return properties
