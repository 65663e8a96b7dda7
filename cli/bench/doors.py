"""A V2 server's two doors: what its model takes, and requests as they go through."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol
from urllib.parse import quote

import grpc
import httpx
import orjson

from cli.reading import AnswerTooLarge, read_answer, why_not
from load.encoded import binary_body, grpc_message, http_request, json_body
from load.grpc import OPTIONS
from load.plan import Route, Server
from serving.errors import ServingError
from serving.sdk import pb
from serving.v2 import InferRequest, ModelMetadata
from serving.v2 import grpc as grpc_codec
from serving.v2 import rest as rest_codec

ASK_TIMEOUT_S: Final = 30.0
METADATA: Final = "/inference.GRPCInferenceService/ModelMetadata"
LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
SAID_BYTES: Final = 300
"""How much of a refusal is quoted."""
HTTPS_PORT: Final = 443
HTTP_PORT: Final = 80

Encode = Callable[[InferRequest], tuple[bytes, Mapping[str, str]]]


class NoAnswer(RuntimeError):
    """The server could not be asked what it serves; the message says why."""


class Door(Protocol):
    """A V2 server over one protocol."""

    @property
    def server(self) -> Server:
        """Where requests go."""

    def default_model(self) -> str:
        """Return the name of the model that is served, the first where there are several.

        Raises:
            NoAnswer: the server does not tell.
        """

    def metadata(self, model: str) -> ModelMetadata:
        """Ask what a model takes.

        Raises:
            NoAnswer: the server does not tell.
        """

    def encode(self, request: InferRequest) -> bytes:
        """Return a request as it goes over the wire."""


@dataclass(frozen=True, slots=True)
class RestDoor:
    """V2 REST; `body` is the form of the tensors: binary or JSON."""

    url: httpx.URL
    headers: Mapping[str, str]
    body: Encode

    @property
    def server(self) -> Server:
        """Where requests go."""
        return http_server(self.url, "infer")

    def default_model(self) -> str:
        """Ask for the list of models, which is none of V2's own routes; see `Door`."""
        try:
            models = orjson.loads(self._get("/v2/models"))["models"]
            return str(models[0])
        except (ValueError, KeyError, IndexError, TypeError, NoAnswer) as error:
            raise NoAnswer(f"{self.url} does not list its models: name one with --model") from error

    def metadata(self, model: str) -> ModelMetadata:
        """See `Door`."""
        try:
            return rest_codec.decode_metadata(self._get(f"/v2/models/{quote(model, safe='')}"))
        except ServingError as error:
            raise NoAnswer(f"the metadata of {model} is not V2's: {error.message}") from error

    def encode(self, request: InferRequest) -> bytes:
        """See `Door`."""
        path = f"{self.url.path.rstrip('/')}/v2/models/{quote(request.model_name, safe='')}/infer"
        body, headers = self.body(request)
        return http_request(path, {**headers, **self.headers}, body, host_of(self.url))

    def _get(self, path: str) -> bytes:
        url = self.url.copy_with(path=self.url.path.rstrip("/") + path)
        through_proxies = self.url.host not in LOOPBACK
        try:
            with httpx.stream(
                "GET", url, headers=dict(self.headers), timeout=ASK_TIMEOUT_S, trust_env=through_proxies
            ) as answer:
                body = read_answer(answer)
        except httpx.RequestError as error:
            raise NoAnswer(f"{self.url} {why_not(error)}") from error
        except AnswerTooLarge as error:
            raise NoAnswer(str(error)) from error
        if not answer.is_success:
            raise NoAnswer(f"GET {url}: {answer.status_code} {body[:SAID_BYTES].decode(errors='replace')}")
        return body


@dataclass(frozen=True, slots=True)
class GrpcDoor:
    """V2 gRPC, with raw tensors."""

    server: Server

    def default_model(self) -> str:
        """Say that V2 gRPC has no list of models; see `Door`."""
        raise NoAnswer("V2 gRPC has no list of models: name one with --model")

    def metadata(self, model: str) -> ModelMetadata:
        """See `Door`."""
        with self._open() as channel:
            ask: Any = channel.unary_unary(
                METADATA,
                request_serializer=pb.ModelMetadataRequest.SerializeToString,
                response_deserializer=pb.ModelMetadataResponse.FromString,
            )
            try:
                message = ask(
                    pb.ModelMetadataRequest(name=model), timeout=ASK_TIMEOUT_S, metadata=self.server.metadata or None
                )
            except grpc.RpcError as error:
                raise NoAnswer(f"{self.server}: {error.code().name} {error.details()}") from error
        return grpc_codec.decode_metadata(message)

    def encode(self, request: InferRequest) -> bytes:
        """See `Door`."""
        return grpc_message(request)

    def _open(self) -> Any:
        address = str(self.server)
        if self.server.tls:
            return grpc.secure_channel(address, grpc.ssl_channel_credentials(), options=OPTIONS)
        return grpc.insecure_channel(address, options=OPTIONS)


def open_door(protocol: str, url: httpx.URL, headers: Mapping[str, str]) -> Door:
    """Return the door of `v2-rest` (binary tensors), `v2-json` or `v2-grpc`."""
    if protocol == "v2-grpc":
        pairs = tuple((name.lower(), value) for name, value in headers.items())
        return GrpcDoor(http_server(url, "infer").model_copy(update={"protocol": "grpc", "metadata": pairs}))
    return RestDoor(url, headers, json_body if protocol == "v2-json" else binary_body)


def http_server(url: httpx.URL, route: Route) -> Server:
    """Return where an address' requests go, and what they ask there."""
    tls = url.scheme in ("https", "grpcs")
    port = url.port or (HTTPS_PORT if tls else HTTP_PORT)
    return Server(protocol="http", host=url.host, port=port, route=route, tls=tls)


def host_of(url: httpx.URL) -> str:
    """Return an address' `Host` header."""
    return url.netloc.decode("ascii")
