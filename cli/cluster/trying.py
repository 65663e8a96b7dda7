"""A picture sent to an InferenceService through its own address, over REST and gRPC."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc
import httpx
import numpy as np

from cli.cluster.faults import ClusterFault
from cli.cluster.forwarding import HOST, forwarded
from cli.cluster.kinds import Manifest
from cli.cluster.observed import Observed
from cli.cluster.pods import is_ready
from cli.reading import AnswerTooLarge, read_answer, why_not
from load.grpc import OPTIONS
from rollout.connection import Connection
from serving.sdk import pb
from serving.v2 import InferRequest, Tensor
from serving.v2 import grpc as grpc_codec

TIMEOUT_S: Final = 60.0
HTTP_PORT: Final = 8080
SAID_BYTES: Final = 300
SERVICE: Final = "/inference.GRPCInferenceService/"
SERVES: Final = ("transformer-container", "kserve-container")


class NoAnswer(ClusterFault):
    """The InferenceService cannot be asked, or its answer is none."""


@dataclass(frozen=True, slots=True)
class Way:
    """How an InferenceService is reached."""

    address: str
    """HOST:PORT that is connected to."""
    host: str
    """What the gateway chooses the InferenceService by."""
    is_tls: bool
    said: str
    """In words."""

    @property
    def name(self) -> str:
        """The host without a port, which the gateway's certificate is for."""
        return httpx.URL(f"//{self.host}").host


def url_of(seen: Observed) -> httpx.URL:
    """The InferenceService's own address.

    Raises:
        NoAnswer: it has none yet.
    """
    url = seen.status.get("url")
    if not url:
        raise NoAnswer(f"{seen.name} has no address yet: `kserve-vision status {seen.name}` says why")
    return httpx.URL(url)


@contextlib.contextmanager
def ways(connection: Connection, seen: Observed, address: str | None) -> Iterator[tuple[Way, Way | None]]:
    """The ways over REST, and over gRPC where there is a gRPC port.

    The gateway's `address`, where it is given; the URL, where its name is known here; or else a pod's own ports,
    through the API server.

    Raises:
        NoAnswer: there is no way.
        Rejected: the API server forwards no port.
    """
    url, has_grpc = url_of(seen), grpc_port(seen.pods) is not None
    host, is_tls = url.netloc.decode("ascii"), url.scheme == "https"
    default = 443 if is_tls else 80
    if address is not None:
        whole = address if ":" in address else f"{address}:{default}"
        way = Way(whole, host, is_tls, f"the gateway at {whole}, as host {host}")
    elif _is_known(url.host):
        way = Way(f"{url.host}:{url.port or default}", host, is_tls, str(url))
    else:
        with _forwarded_ways(connection, seen) as found:
            yield found
        return
    yield way, way if has_grpc else None


@contextlib.contextmanager
def _forwarded_ways(connection: Connection, seen: Observed) -> Iterator[tuple[Way, Way | None]]:
    pod = next((each for each in seen.pods if is_ready(each)), None)
    if pod is None:
        raise NoAnswer(f"{url_of(seen).host} is not known here, and no pod is ready: give the gateway's --address")
    name, port = pod["metadata"]["name"], grpc_port([pod])
    with contextlib.ExitStack() as stack:
        rest = stack.enter_context(forwarded(connection, seen.namespace, name, HTTP_PORT))
        unknown = f"pod {name}, since {url_of(seen).host} is not known here (--address names the gateway)"
        way = Way(f"{HOST}:{rest}", f"{HOST}:{rest}", is_tls=False, said=unknown)
        if port is None:
            yield way, None
            return
        address = f"{HOST}:{stack.enter_context(forwarded(connection, seen.namespace, name, port))}"
        yield way, Way(address, address, is_tls=False, said=unknown)


def grpc_port(pods: Sequence[Manifest]) -> int | None:
    """The port for gRPC that pods have; None where they have none."""
    for pod in pods:
        for container in pod["spec"]["containers"]:
            for port in container.get("ports") or () if container["name"] in SERVES else ():
                if str(port.get("name", "")).startswith(("grpc", "h2c")):
                    return int(port["containerPort"])
    return None


def ask_rest(way: Way, picture: Path, content: bytes) -> Any:
    """Send a picture to `/predict`, and return its predictions.

    Raises:
        NoAnswer: there are none; the message says why.
    """
    scheme = "https" if way.is_tls else "http"
    url = f"{scheme}://{way.address}/predict"
    # TLS is asked for the name that the gateway has, whatever address it is reached at.
    extensions = {"sni_hostname": way.name} if way.is_tls else {}
    try:
        with (
            httpx.Client(timeout=TIMEOUT_S, trust_env=not _is_loopback(way.address)) as http,
            http.stream(
                "POST",
                url,
                headers={"host": way.host},
                files={"file": (picture.name, content)},
                extensions=extensions,
            ) as answer,
        ):
            body = read_answer(answer)
    except httpx.RequestError as error:
        raise NoAnswer(f"REST: {way.address} {why_not(error)}") from error
    except AnswerTooLarge as error:
        raise NoAnswer(f"REST: {error}") from error
    return _predictions(answer.status_code, body)


def _predictions(status: int, body: bytes) -> Any:
    try:
        said = json.loads(body)
        if status == httpx.codes.OK:
            return said["predictions"]
        raise NoAnswer(f"REST: {status} {said['error']['code']}: {said['error']['message']}")
    except (ValueError, KeyError, TypeError) as error:
        quoted = body[:SAID_BYTES].decode(errors="replace")
        raise NoAnswer(
            f"REST: {status}, which no transformer says ({quoted!r}): is it the gateway's address, and has the gateway "
            "the route?"
        ) from error


def ask_grpc(way: Way, model: str, content: bytes) -> list[str]:
    """Send a picture as V2's ModelInfer, and return the outputs' names, types and shapes.

    Raises:
        NoAnswer: there is no answer; the message says why.
    """
    with _channel(way) as channel:
        try:
            metadata = grpc_codec.decode_metadata(
                _call(channel, "ModelMetadata", pb.ModelMetadataRequest(name=model), pb.ModelMetadataResponse)
            )
            picture = Tensor(metadata.inputs[0].name, np.array([content], dtype=object))
            request = grpc_codec.serialize_request(InferRequest(model_name=model, inputs=(picture,)))
            message = _call(channel, "ModelInfer", pb.ModelInferRequest.FromString(request), pb.ModelInferResponse)
        except grpc.RpcError as error:
            raise NoAnswer(f"gRPC: {way.address}: {error.code().name} {error.details()}") from error
        except IndexError as error:
            raise NoAnswer(f"gRPC: {model} tells no inputs: it is no transformer") from error
    outputs = grpc_codec.decode_response(message).outputs
    return [f"{each.name} {each.datatype} {list(each.shape)}" for each in outputs]


def _channel(way: Way) -> Any:
    options = [*OPTIONS, ("grpc.default_authority", way.host)]
    if _is_loopback(way.address):
        options.append(("grpc.enable_http_proxy", 0))
    if not way.is_tls:
        return grpc.insecure_channel(way.address, options=options)
    options.append(("grpc.ssl_target_name_override", way.name))
    return grpc.secure_channel(way.address, grpc.ssl_channel_credentials(), options=options)


def _call(channel: Any, method: str, request: Any, answer: Any) -> Any:
    ask = channel.unary_unary(
        f"{SERVICE}{method}",
        request_serializer=type(request).SerializeToString,
        response_deserializer=answer.FromString,
    )
    return ask(request, timeout=TIMEOUT_S)


def _is_loopback(address: str) -> bool:
    """Whether an address is this machine's own, where no proxy belongs before."""
    return address.startswith((HOST, "localhost:"))


def _is_known(host: str) -> bool:
    try:
        socket.getaddrinfo(host, None)
    except OSError:
        return False
    return True
