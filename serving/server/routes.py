"""The routes of the protocols: V2, V1, health and metrics. What a server adds of its own it registers beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from serving.call import Call
from serving.errors import RequestInvalid
from serving.metrics import Metrics
from serving.server.answers import json_response
from serving.server.body import Bodies
from serving.server.busy import BusyRouter
from serving.server.control import ModelControl
from serving.server.dataplane import VisionDataPlane
from serving.server.model import State
from serving.server.observe import Observer
from serving.server.reading import RequestReader
from serving.server.scope import call_of, headers_of
from serving.settings import ServerSettings
from serving.v2 import rest
from serving.v2.json_fields import read_object


class ProtocolRoutes:
    """The protocols' routes over one data plane."""

    def __init__(self, dataplane: VisionDataPlane, metrics: Metrics, bodies: Bodies, settings: ServerSettings) -> None:
        self._dataplane = dataplane
        self._metrics = metrics
        self._observer = Observer(metrics)
        self._control = ModelControl(dataplane.repository, settings)
        self._bodies = bodies
        self._timeout_s = settings.infer_timeout_seconds
        self._reader = RequestReader()

    async def close(self) -> None:
        """End the threads that read long bodies."""
        await self._reader.close()

    def router(self) -> BusyRouter:
        """Return the routes."""
        router = BusyRouter()
        for path, handler, tag in (
            ("/v2/models/{name}/infer", self.infer, "V2"),
            ("/v2/models/{name}/versions/{version}/infer", self.infer, "V2"),
            ("/v1/models/{name}:predict", self.predict, "V1"),
        ):
            router.add_busy_route(path, handler, tags=[tag], openapi_extra=_described(path))
        get, post = ["GET"], ["POST"]
        for path, endpoint, methods, tag in (
            ("/", self.live, get, "health"),
            ("/health", self.health, get, "health"),
            ("/ready", self.ready, get, "health"),
            ("/metrics", self.metrics, get, "health"),
            ("/v2", self.server_metadata, get, "V2"),
            ("/v2/health/live", self.live, get, "V2"),
            ("/v2/health/ready", self.ready, get, "V2"),
            ("/v2/models", self.models, get, "V2"),
            ("/v2/models/{name}", self.model_metadata, get, "V2"),
            ("/v2/models/{name}/ready", self.model_ready, get, "V2"),
            ("/v2/models/{name}/versions/{version}", self.model_metadata, get, "V2"),
            ("/v2/models/{name}/versions/{version}/ready", self.model_ready, get, "V2"),
            ("/v2/repository/index", self.index, post, "V2"),
            ("/v2/repository/models/{name}/load", self.load, post, "V2"),
            ("/v2/repository/models/{name}/unload", self.unload, post, "V2"),
            ("/v1/models", self.models, get, "V1"),
            ("/v1/models/{name}", self.model_ready, get, "V1"),
        ):
            router.add_api_route(path, endpoint, methods=methods, tags=[tag], response_model=None)
        return router

    async def live(self) -> Response:
        """200 while this process can serve; 503 once it takes a new one, since its device is lost."""
        self._dataplane.check_live()
        return json_response({"live": True, "status": "alive"})

    async def health(self) -> Response:
        """Whether the process answers, and whether its models are loaded; always 200."""
        return json_response({"status": "alive", "model_loaded": self._dataplane.loaded})

    async def ready(self) -> Response:
        """200 while this server should get traffic, else 503 with the reason."""
        await self._dataplane.check_ready()
        return json_response({"ready": True})

    async def metrics(self, request: Request) -> Response:
        """The metrics, in Prometheus' or OpenMetrics' text form."""
        body, content_type = self._metrics.exposition(request.headers.get("accept", ""))
        return Response(body, headers={"content-type": content_type})

    async def server_metadata(self) -> Response:
        """The server's name, version and protocol extensions."""
        return json_response(self._dataplane.metadata())

    async def models(self) -> Response:
        """The names of the models."""
        return json_response({"models": self._dataplane.names()})

    async def model_metadata(self, name: str, version: str | None = None) -> Response:
        """What a model takes and gives."""
        return json_response(rest.encode_metadata(self._dataplane.find(name).metadata(version)))

    async def model_ready(self, name: str, version: str | None = None) -> Response:
        """200 while the model is ready, else 503 with the reason."""
        await self._dataplane.check_model_ready(name, version)
        return json_response({"name": name, "ready": True})

    async def index(self, request: Request) -> Response:
        """Every version of every model: its state, and the reason where it cannot be asked.

        `{"ready": true}` in the body asks for those that can.
        """
        only_ready = (await self._fields(request)).get("ready", False)
        if not isinstance(only_ready, bool):
            raise RequestInvalid('"ready" must be true or false')
        entries = await self._dataplane.repository.index()
        return json_response([each.to_json() for each in entries if each.state is State.READY or not only_ready])

    async def load(self, request: Request, name: str) -> Response:
        """Serve a model as it lies on the disk now."""
        self._control.check()
        if (await self._fields(request)).get("parameters"):
            raise RequestInvalid("a model is loaded as it lies on the disk: there are no parameters")
        call = call_of(request)
        call.deadline = None  # a load may take longer than an answer
        call.limit_by_header(headers_of(request))
        await self._control.load(name, call)
        return json_response({"name": name, "load": True})

    async def unload(self, name: str) -> Response:
        """Serve a model no longer; what it was asked before is answered."""
        await self._control.unload(name)
        return json_response({"name": name, "unload": True})

    async def infer(self, request: Request, name: str, version: str | None = None) -> Response:
        """Run a model: V2 JSON, or JSON with binary tensors behind it."""
        call = call_of(request)
        with self._observer.request(call):
            self._begin(call, request, name)
            with self._dataplane.borrowed(call, name, version) as served:
                body = await self._bodies.read(request)
                infer_request = await self._reader.read(body, request, name, version)
                encoded = rest.encode_response(await served.infer(infer_request, call), infer_request)
        return Response(bytes(encoded), headers=encoded.headers)

    async def predict(self, request: Request, name: str) -> Response:
        """Run a model: V1 JSON, `{"instances": [...]}`."""
        call = call_of(request)
        with self._observer.request(call):
            self._begin(call, request, name)
            with self._dataplane.borrowed(call, name, None) as served:
                answer = await served.predict(read_object(await self._bodies.read(request)), call)
        return json_response(answer)

    async def _fields(self, request: Request) -> Mapping[str, Any]:
        """Return the fields of a body that may be left out."""
        call_of(request).limit(self._timeout_s)
        body = await self._bodies.read(request)
        return read_object(body) if body else {}

    def _begin(self, call: Call, request: Request, name: str) -> None:
        call.model_name = name
        self._dataplane.find(name)
        call.limit(self._timeout_s)
        call.limit_by_header(headers_of(request))


def _described(path: str) -> dict[str, object]:
    """Describe the body of a route whose handler reads it by itself, with an example to change."""
    if path.endswith("/infer"):
        tensor = {"name": "image", "datatype": "BYTES", "shape": [1], "data": ["<base64>"]}
        example: dict[str, object] = {"inputs": [tensor], "parameters": {"top_k": 3}}
    else:
        example = {"instances": [{"b64": "<base64>"}]}
    return {
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"type": "object"}, "example": example}},
        }
    }
