from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import numpy as np
import orjson
import pytest

from serving.call import Call
from serving.errors import (
    DeadlineExceeded,
    DeviceLost,
    DeviceOutOfMemory,
    ModelLoadFailed,
    Overloaded,
    PredictorFault,
    PredictorUnavailable,
    ServingError,
)
from serving.metrics import Metrics
from serving.sdk import pb
from serving.server.body import Bodies
from serving.server.grpc import GrpcDoor, Method
from serving.settings import ServerSettings
from serving.v2 import InferRequest, Tensor, TensorSpec
from transformer.client import PredictorClient, connect
from transformer.client.grpc import target_of
from transformer.settings import TransformerSettings

from .foreign import CLASSES, HOST, Answer, ForeignPredictor, foreign_predictor, never, refusal, response, zeros

SOON_S = 0.05
PATIENCE_S = 20.0
EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED
REQUEST = InferRequest("m", (Tensor("images", np.zeros((1, 224, 224, 3), dtype=np.uint8)),), id="7")


def call(limit_s: float | None = 20.0) -> Call:
    made = Call("an-id", "test", traces={"traceparent": "00-1-2-01"})
    if limit_s is not None:
        made.limit(limit_s)
    return made


@asynccontextmanager
async def client_of(port: int, protocol: str, **settings: Any) -> AsyncIterator[PredictorClient]:
    client = connect(
        TransformerSettings(predictor_host=f"{HOST}:{port}", predictor_protocol=protocol, model_name="m", **settings)
    )
    try:
        yield client
    finally:
        await client.close()


@pytest.fixture
def foreign() -> Iterator[ForeignPredictor]:
    with foreign_predictor() as predictor:
        yield predictor


@pytest.fixture
def nobody() -> int:
    """A port where nobody listens."""
    with socket.create_server((HOST, 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def after(failures: int, status: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE) -> Answer:
    """Fail so many times, and then answer."""
    left = [failures]

    def answer(request: pb.ModelInferRequest, context: Any) -> pb.ModelInferResponse:
        left[0] -= 1
        return zeros(request, context) if left[0] < 0 else refusal(status)(request, context)

    return answer


async def test_an_answer_over_grpc_is_read(foreign: ForeignPredictor) -> None:
    async with client_of(foreign.port, "grpc-v2") as client:
        answer = await client.infer(REQUEST, call())

    assert answer.output("logits").shape == (1, CLASSES)


async def test_metadata_over_grpc_is_read(foreign: ForeignPredictor) -> None:
    async with client_of(foreign.port, "grpc-v2") as client:
        metadata = await client.metadata("m", call())

    assert metadata.inputs == (TensorSpec("images", "UINT8", (-1, 224, 224, 3)),)
    assert metadata.platform == "another"


async def test_id_and_trace_go_along_over_grpc(foreign: ForeignPredictor) -> None:
    async with client_of(foreign.port, "grpc-v2") as client:
        await client.infer(REQUEST, call())

    (metadata,) = foreign.asked()
    sent = {"x-request-id": "an-id", "x-correlation-id": "an-id", "traceparent": "00-1-2-01"}
    assert sent.items() <= metadata.items()


@pytest.mark.parametrize("status", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED])
@pytest.mark.parametrize(("retries", "failures", "asked"), [(2, 1, 2), (2, 2, 3), (4, 1, 2)])
async def test_a_predictor_that_is_away_for_a_moment_is_asked_again(
    foreign: ForeignPredictor, status: grpc.StatusCode, retries: int, failures: int, asked: int
) -> None:
    foreign.answer = after(failures, status)

    async with client_of(foreign.port, "grpc-v2", predictor_request_retries=retries) as client:
        await client.infer(REQUEST, call())

    assert len(foreign.asked()) == asked


@pytest.mark.parametrize("retries", [0, 1, 2])
async def test_retries_over_grpc_are_bounded(foreign: ForeignPredictor, retries: int) -> None:
    foreign.answer = refusal(grpc.StatusCode.UNAVAILABLE, "gone")

    async with client_of(foreign.port, "grpc-v2", predictor_request_retries=retries) as client:
        with pytest.raises(PredictorUnavailable, match="gone") as caught:
            await client.infer(REQUEST, call())

    assert len(foreign.asked()) == retries + 1
    assert caught.value.retry_after_s == 1


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (refusal(grpc.StatusCode.INVALID_ARGUMENT), PredictorFault),
        (refusal(grpc.StatusCode.INTERNAL), PredictorFault),
        (refusal(grpc.StatusCode.UNKNOWN), PredictorFault),
        (refusal(grpc.StatusCode.UNIMPLEMENTED), PredictorFault),
        (refusal(grpc.StatusCode.NOT_FOUND), PredictorUnavailable),
        (refusal(grpc.StatusCode.DEADLINE_EXCEEDED), DeadlineExceeded),
        (refusal(EXHAUSTED, "OVERLOADED: full", ("error-code", "OVERLOADED")), Overloaded),
        (refusal(EXHAUSTED, "too large"), PredictorFault),
        (refusal(EXHAUSTED, "", ("error-code", "SOMETHING")), PredictorFault),
    ],
    ids=lambda value: getattr(value, "__name__", "answer"),
)
async def test_a_refusal_over_grpc_is_not_repeated_and_has_its_meaning(
    foreign: ForeignPredictor, answer: Answer, expected: type[ServingError]
) -> None:
    foreign.answer = answer

    async with client_of(foreign.port, "grpc-v2") as client:
        with pytest.raises(expected):
            await client.infer(REQUEST, call())

    assert len(foreign.asked()) == 1


@dataclass
class Refusing:
    """A service of our own predictor that answers each call with one error."""

    error: ServingError
    asked: int = 0

    def method(self, _: str) -> Method:
        async def refuse(_: object, __: Call) -> None:
            self.asked += 1
            raise self.error

        return refuse


@pytest.mark.parametrize(
    ("error", "expected", "retry_after_s"),
    [
        (DeviceOutOfMemory("no room", retry_after_s=1), DeviceOutOfMemory, 1),
        (DeviceLost("no device"), PredictorUnavailable, None),
        (ModelLoadFailed("no model"), PredictorUnavailable, None),
    ],
)
async def test_what_the_next_moment_does_not_change_is_not_repeated_over_grpc(
    error: ServingError, expected: type[ServingError], retry_after_s: float | None
) -> None:
    service = Refusing(error)
    bodies = Bodies(1, 64 * 2**20, Metrics("test"))
    door = GrpcDoor(service, bodies, ServerSettings(host=HOST, grpc_port=0))  # type: ignore[arg-type]  # it takes the methods
    await door.open()
    assert door.port
    async with client_of(door.port, "grpc-v2", predictor_request_retries=2) as client:
        with pytest.raises(expected, match=str(error)) as caught:
            await client.infer(REQUEST, call())
    await door.close(0)

    assert service.asked == 1
    assert caught.value.retry_after_s == retry_after_s


def lying(**fields: Any) -> Answer:
    message = response(np.zeros((1, 4), dtype=np.float32))
    for name, value in fields.items():
        if name == "shape":
            message.outputs[0].shape[:] = value
        else:
            setattr(message.outputs[0], name, value)
    return lambda _, __: message


@pytest.mark.parametrize(
    "answer",
    [
        lying(shape=[1, 5]),
        lying(shape=[-1, -4]),
        lying(datatype="FP7"),
        lying(shape=[0, 2**62, 9]),
    ],
)
async def test_an_answer_over_grpc_that_lies_is_the_predictors_fault(foreign: ForeignPredictor, answer: Answer) -> None:
    foreign.answer = answer

    async with client_of(foreign.port, "grpc-v2") as client:
        with pytest.raises(PredictorFault, match="cannot be read"):
            await client.infer(REQUEST, call())


async def test_an_answer_over_grpc_that_is_larger_than_allowed_is_the_predictors_fault(
    foreign: ForeignPredictor,
) -> None:
    foreign.answer = lambda _, __: response(np.zeros((1, 4096), dtype=np.float32))

    async with client_of(foreign.port, "grpc-v2", grpc_max_receive_message_length=4096) as client:
        with pytest.raises(PredictorFault, match="RESOURCE_EXHAUSTED"):
            await client.infer(REQUEST, call())


@pytest.mark.parametrize("by_settings", [True, False])
async def test_a_predictor_over_grpc_that_does_not_answer_meets_the_deadline(
    foreign: ForeignPredictor, *, by_settings: bool
) -> None:
    foreign.answer = never
    timeout = SOON_S if by_settings else 20.0

    async with client_of(foreign.port, "grpc-v2", predictor_request_timeout_seconds=timeout) as client:
        with pytest.raises(DeadlineExceeded):
            await client.infer(REQUEST, call(None if by_settings else SOON_S))


async def test_a_call_whose_time_is_over_asks_nobody(foreign: ForeignPredictor) -> None:
    async with client_of(foreign.port, "grpc-v2") as client:
        with pytest.raises(DeadlineExceeded):
            await client.infer(REQUEST, call(-1))

    assert not foreign.asked()


@pytest.mark.parametrize("protocol", ["grpc-v2", "v2"])
async def test_where_nobody_listens_the_predictor_is_unavailable(nobody: int, protocol: str) -> None:
    async with client_of(nobody, protocol, predictor_request_retries=1) as client:
        for asked in (client.infer(REQUEST, call()), client.metadata("m", call()), client.check_ready("m", call())):
            with pytest.raises(PredictorUnavailable, match=f"{HOST}:{nobody}"):
                await asked


async def test_a_predictor_that_comes_back_on_its_port_is_found_again(nobody: int) -> None:
    async with client_of(nobody, "grpc-v2") as client:
        for _ in range(2):
            with pytest.raises(PredictorUnavailable):
                await client.infer(REQUEST, call())
            with foreign_predictor(ForeignPredictor(port=nobody)):
                await answered(client)


async def answered(client: PredictorClient) -> None:
    """Ask until there is an answer: the channel pauses between its attempts to connect."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                await client.infer(REQUEST, call())
            except PredictorUnavailable:
                continue
            return


async def test_a_predictor_that_says_it_is_not_ready_is_unavailable(foreign: ForeignPredictor) -> None:
    async with client_of(foreign.port, "grpc-v2") as client:
        await client.check_ready("m", call())
        foreign.ready = False
        with pytest.raises(PredictorUnavailable, match="is not ready to serve 'm'"):
            await client.check_ready("m", call())


@pytest.mark.parametrize(
    ("host", "target"),
    [
        ("predictor", "dns:///predictor:80"),
        ("predictor.ns.svc:8081", "dns:///predictor.ns.svc:8081"),
        ("127.0.0.1:9", "dns:///127.0.0.1:9"),
        ("127.0.0.1", "dns:///127.0.0.1:80"),
        ("[::1]:9", "dns:///[::1]:9"),
        ("[::1]", "dns:///[::1]:80"),
        ("unix:/run/predictor.sock", "unix:/run/predictor.sock"),
        ("dns:///predictor:9", "dns:///predictor:9"),
        ("ipv4:10.0.0.1:9,10.0.0.2:9", "ipv4:10.0.0.1:9,10.0.0.2:9"),
    ],
)
def test_a_host_is_named_so_that_all_its_addresses_are_used(host: str, target: str) -> None:
    assert target_of(host) == target


Reply = bytes | None
"""A whole HTTP answer; empty to hang up without one; None to stay silent."""


@dataclass
class ScriptedServer:
    """An HTTP server that gives one reply after another, and then the last one again."""

    replies: list[Reply]
    asked: list[bytes] = field(default_factory=list)
    port: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next((line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), b":0")
            await reader.readexactly(int(length.partition(b":")[2]))
            self.asked.append(head)
            reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
            if reply is None:
                await reader.read()
            else:
                writer.write(reply)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def scripted(*replies: Reply, **settings: Any) -> AsyncIterator[tuple[PredictorClient, ScriptedServer]]:
    script = ScriptedServer(list(replies))
    server = await asyncio.start_server(script.serve, HOST, 0)
    script.port = server.sockets[0].getsockname()[1]
    async with server, client_of(script.port, "v2", **settings) as client:
        yield client, script


def http(status: int, body: object = b"", *headers: str) -> bytes:
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    head = [f"HTTP/1.1 {status} X", f"content-length: {len(content)}", "connection: close", *headers]
    return "\r\n".join([*head, "", ""]).encode() + content


JSON_ANSWER = {"model_name": "m", "outputs": [{"name": "y", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}]}
OK = http(200, JSON_ANSWER)


async def test_an_answer_over_rest_is_read() -> None:
    async with scripted(OK) as (client, server):
        answer = await client.infer(REQUEST, call())

    assert answer.output("y").array.tolist() == [[1, 2]]
    (head,) = server.asked
    assert head.startswith(b"POST /v2/models/m/infer HTTP/1.1\r\n")
    lines = head.lower().split(b"\r\n")
    assert b"x-request-id: an-id" in lines
    assert b"traceparent: 00-1-2-01" in lines
    assert [line for line in lines if line.startswith(b"content-type")] == [b"content-type: application/octet-stream"]


@pytest.mark.parametrize("away", [http(503), b"", b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nshort"])
async def test_a_predictor_over_rest_that_is_away_for_a_moment_is_asked_again(away: bytes) -> None:
    async with scripted(away, away, OK, predictor_request_retries=2) as (client, server):
        await client.infer(REQUEST, call())

    assert len(server.asked) == 3


@pytest.mark.parametrize("retries", [0, 1])
@pytest.mark.parametrize("away", [http(503, {"error": "MODEL_NOT_READY: loading"}), b""])
async def test_retries_over_rest_are_bounded(retries: int, away: bytes) -> None:
    async with scripted(away, predictor_request_retries=retries) as (client, server):
        with pytest.raises(PredictorUnavailable) as caught:
            await client.infer(REQUEST, call())

    assert len(server.asked) == retries + 1
    assert caught.value.retry_after_s == 1


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"error": "MODEL_NOT_READY: \\"m\\" is loading"}', 'MODEL_NOT_READY: "m" is loading'),
        (b'{"error":"no such thing \\u00e9"}', "no such thing \u00e9"),
        (b'{"error":"a long ' + b"y" * 1000 + b'"}', "a long yyy"),
        (b'{"error":"cut \\\\' + b"\\\\" * 1000 + b'"}', "cut \\"),
        (b'{"error": {"code": "X"}}', '{"error": {"code": "X"}}'),
        (b"<html>gone</html>", "<html>gone</html>"),
    ],
)
async def test_a_refusals_words_are_told_without_their_json(body: bytes, said: str) -> None:
    away = b"HTTP/1.1 503 Gone\r\ncontent-length: %d\r\n\r\n" % len(body) + body
    async with scripted(away, predictor_request_retries=0) as (client, _):
        with pytest.raises(PredictorUnavailable) as caught:
            await client.infer(REQUEST, call())

    assert f": {said}" in caught.value.message
    assert body.startswith(said.encode()) or "error" not in caught.value.message


@pytest.mark.parametrize(
    ("code", "expected", "retry_after_s"),
    [
        ("DEVICE_OUT_OF_MEMORY", DeviceOutOfMemory, 1),
        ("DEVICE_LOST", PredictorUnavailable, None),
        ("MODEL_LOAD_FAILED", PredictorUnavailable, None),
    ],
)
async def test_what_the_next_moment_does_not_change_is_not_repeated_over_rest(
    code: str, expected: type[ServingError], retry_after_s: float | None
) -> None:
    async with scripted(http(503, {"error": f"{code}: no"}), predictor_request_retries=2) as (client, server):
        with pytest.raises(expected, match=code) as caught:
            await client.infer(REQUEST, call())

    assert len(server.asked) == 1
    assert caught.value.retry_after_s == retry_after_s
    assert expected is DeviceOutOfMemory or caught.value.details == {"predictor_code": code}


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, PredictorFault),
        (404, PredictorUnavailable),
        (413, PredictorFault),
        (429, Overloaded),
        (500, PredictorFault),
        (502, PredictorFault),
        (504, DeadlineExceeded),
        (302, PredictorFault),
        (204, PredictorFault),
    ],
)
async def test_a_refusal_over_rest_is_not_repeated_and_has_its_meaning(
    status: int, expected: type[ServingError]
) -> None:
    async with scripted(http(status, b"" if status == 204 else b"no")) as (client, server):
        with pytest.raises(expected):
            await client.infer(REQUEST, call())

    assert len(server.asked) == 1


def with_output(**fields: Any) -> dict[str, Any]:
    return {**JSON_ANSWER, "outputs": [{**JSON_ANSWER["outputs"][0], **fields}]}  # type: ignore[dict-item]


LIES: dict[str, bytes] = {
    "no JSON": http(200, b"<html>"),
    "nothing": http(200),
    "an array": http(200, []),
    "no outputs": http(200, {"model_name": "m"}),
    "outputs that are none": http(200, {"model_name": "m", "outputs": 7}),
    "no model": http(200, {"outputs": []}),
    "too few values": http(200, with_output(data=[1])),
    "text": http(200, with_output(data=["a", "b"])),
    "null for NaN": http(200, with_output(data=[None, 1])),
    "another datatype": http(200, with_output(datatype="FP7")),
    "a shape that overflows": http(200, with_output(shape=[0, 2**62, 9], data=[])),
    "a lying length": http(200, JSON_ANSWER, "inference-header-content-length: 9999"),
    "a packing that is none": http(200, JSON_ANSWER, "content-encoding: gzip"),
}


@pytest.mark.parametrize("name", LIES)
async def test_an_answer_over_rest_that_lies_is_the_predictors_fault(name: str) -> None:
    async with scripted(LIES[name]) as (client, _):
        with pytest.raises(PredictorFault):
            await client.infer(REQUEST, call())


@pytest.mark.parametrize("by_settings", [True, False])
async def test_a_predictor_over_rest_that_does_not_answer_meets_the_deadline(*, by_settings: bool) -> None:
    timeout = SOON_S if by_settings else 20.0

    async with scripted(None, predictor_request_timeout_seconds=timeout) as (client, _):
        with pytest.raises(DeadlineExceeded):
            await client.infer(REQUEST, call(None if by_settings else SOON_S))


async def test_retries_over_rest_do_not_outlast_the_deadline() -> None:
    async with scripted(http(503), predictor_request_retries=4) as (client, server):
        with pytest.raises(DeadlineExceeded):
            await client.infer(REQUEST, call(SOON_S))

    assert len(server.asked) <= 2


async def test_something_that_is_no_http_is_an_unavailable_predictor() -> None:
    async with scripted(b"SSH-2.0-OpenSSH\r\n", predictor_request_retries=0) as (client, _):
        with pytest.raises(PredictorUnavailable):
            await client.infer(REQUEST, call())


METADATA = {
    "name": "m",
    "versions": ["1"],
    "platform": "another",
    "inputs": [{"name": "images", "datatype": "FP32", "shape": [-1, 3]}],
    "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 2]}],
}


async def test_metadata_over_rest_is_read() -> None:
    async with scripted(http(200, METADATA)) as (client, _):
        metadata = await client.metadata("m", call())

    assert metadata.inputs == (TensorSpec("images", "FP32", (-1, 3)),)
    assert (metadata.name, metadata.versions) == ("m", ("1",))


SPOILS: list[Callable[[dict[str, Any]], object]] = [
    lambda _: [],
    lambda _: 7,
    lambda _: None,
    lambda whole: whole | {"inputs": [{}]},
    lambda whole: whole | {"inputs": ["images"]},
    lambda whole: whole | {"outputs": [{"name": "y", "datatype": "FP32", "shape": 2}]},
    lambda whole: {key: value for key, value in whole.items() if key != "name"},
]


@pytest.mark.parametrize("spoil", SPOILS)
async def test_metadata_over_rest_that_is_none_is_the_predictors_fault(
    spoil: Callable[[dict[str, Any]], object],
) -> None:
    async with scripted(http(200, spoil(METADATA))) as (client, _):
        with pytest.raises(PredictorFault, match="the metadata of 'm' at"):
            await client.metadata("m", call())


async def test_metadata_that_lists_no_tensors_is_read_as_such() -> None:
    async with scripted(http(200, {"name": "m", "versions": None, "inputs": None})) as (client, _):
        metadata = await client.metadata("m", call())

    assert (metadata.inputs, metadata.outputs, metadata.versions) == ((), (), ())


async def test_readiness_over_rest_is_the_models() -> None:
    async with scripted(http(200, {"ready": True})) as (client, server):
        await client.check_ready("m", call())

    assert server.asked[0].startswith(b"GET /v2/models/m/ready ")
