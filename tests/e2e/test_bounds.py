"""What one connection, one message and one refusal may cost the server."""

from __future__ import annotations

import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import grpc
import httpx
import numpy as np
import psutil
import pytest
from PIL import Image

from load.process import peak_bytes
from serving.sdk import pb
from tests.photos import encoded, photo
from tests.servers import MODEL, RunningPair, RunningServer, running_server

from .doors import Client, raw_body

PATIENCE_S = 20.0
MIB = 2**20

pytestmark = pytest.mark.usefixtures("still_serves")


def resident(server: RunningServer) -> int:
    """The bytes of memory that a server holds."""
    held: int = psutil.Process(server.process.pid).memory_info().rss
    return held


def send_all(server: RunningServer, data: bytes) -> bytes:
    """Send until the server closes the connection, and return what it said."""
    received = b""
    with socket.create_connection(("127.0.0.1", server.ports.http), timeout=PATIENCE_S) as connection:
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(data)
        try:
            while chunk := connection.recv(65536):
                received += chunk
        except ConnectionResetError:
            pass
    return received


def infer(server: RunningServer, message: bytes) -> grpc.RpcError:
    """Send the bytes of a ModelInferRequest, and return the refusal."""
    options = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
    with grpc.insecure_channel(server.grpc, options=options) as channel:
        ask = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
        with pytest.raises(grpc.RpcError) as refused:
            ask(message, timeout=PATIENCE_S)
    return refused.value


def big_message(name: str) -> bytes:
    request = pb.ModelInferRequest(model_name=name, raw_input_contents=[bytes(20 * MIB)])
    request.inputs.add(name="none", datatype="UINT8", shape=[20 * MIB])
    encoded: bytes = request.SerializeToString()
    return encoded


@pytest.mark.parametrize("name", [MODEL, "none"], ids=["another tensor", "another model"])
def test_a_refused_grpc_message_is_let_go(pair: RunningPair, name: str) -> None:
    message = big_message(name)
    infer(pair.predictor, message)
    before = resident(pair.predictor)
    for _ in range(20):
        infer(pair.predictor, message)
    assert resident(pair.predictor) - before < 150 * MIB


def test_a_refused_picture_is_let_go(pair: RunningPair, client: Client, cat: bytes) -> None:
    broken = cat[: len(cat) // 2] + bytes(8 * MIB)

    def send() -> None:
        assert client.post("/predict", content=broken, headers={"content-type": "image/jpeg"}).status in (200, 400)

    send()
    before = resident(pair.transformer)
    for _ in range(30):
        send()
    assert resident(pair.transformer) - before < 150 * MIB


def test_pictures_that_are_decoded_side_by_side_stay_within_the_memory_that_they_have_together(
    pair: RunningPair, model_dir: Path, cat: bytes
) -> None:
    together = 120
    large = photo().resize((3000, 2000), Image.Resampling.NEAREST).convert("RGBA")
    pictures = [encoded(large, "PNG", compress_level=1)] * 12  # 1 MiB, and 47 when they are decoded
    flags = [f"--model_dir={model_dir}", f"--predictor_host={pair.predictor.grpc}", "--max_queue_seconds=60"]
    with running_server("transformer", [*flags, "--decode_threads=8", f"--max_decode_mb={together}"]) as transformer:
        client = Client(transformer)
        assert raw_body(client, cat).label == "tiger cat"
        before = resident(transformer)
        with ThreadPoolExecutor(len(pictures)) as pool:
            answers = list(pool.map(lambda picture: raw_body(client, picture), [*pictures, cat]))
        batch = client.post("/predict/batch", files=[("files", ("a.png", picture)) for picture in pictures])
        refused = raw_body(client, encoded(Image.new("RGB", (4000, 3000)), "WEBP"))
        peak = peak_bytes(transformer.process.pid)
        metrics = httpx.get(f"{transformer.url}/metrics", timeout=PATIENCE_S).text
        client.close()

    assert {answer.label for answer in answers} == {"tiger cat"}
    assert batch.is_ok
    assert peak - before < (together + 60) * MIB
    assert (refused.status, refused.code, refused.details["limit"]) == (413, "IMAGE_TOO_LARGE", together * MIB)
    assert "\nkserve_vision_decoding_bytes 0.0\n" in metrics


@pytest.mark.parametrize("server", ["transformer", "predictor"])
def test_pipelining_without_reading_ends_the_connection(pair: RunningPair, server: str) -> None:
    running: RunningServer = getattr(pair, server)
    before = resident(running)
    answered = send_all(running, b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n" * 50_000)
    assert answered.count(b"HTTP/1.1 200 ") < 50_000
    assert resident(running) - before < 150 * MIB


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"a" * MIB,
        b"GET / HTTP/1.1\r\nhost: x\r\nx: " + b"a" * MIB,
        b"GET / HTTP/1.1\r\nhost: x\r\n" + b"a: b\r\n" * 200_000,
    ],
    ids=["url", "header", "headers"],
)
def test_a_head_without_end_is_refused(pair: RunningPair, head: bytes) -> None:
    assert b" 200 " not in send_all(pair.transformer, head)[:20]


def test_a_message_that_is_no_protobuf_is_the_clients_fault(pair: RunningPair) -> None:
    refused = infer(pair.predictor, b"\xff\xff\xff\xff")
    assert refused.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.details().startswith("REQUEST_INVALID: the message is no ModelInferRequest")
    assert dict(refused.trailing_metadata())["error-code"] == "REQUEST_INVALID"


def many_inputs() -> pb.ModelInferRequest:
    request = pb.ModelInferRequest(model_name=MODEL)
    for _ in range(10_000):
        request.inputs.add(name="a", datatype="FP32", shape=[0])
    return request


def many_outputs() -> pb.ModelInferRequest:
    request = pb.ModelInferRequest(model_name=MODEL)
    request.inputs.add(name="a", datatype="FP32", shape=[0])
    for _ in range(10_000):
        request.outputs.add(name="a")
    return request


def many_typed_values() -> pb.ModelInferRequest:
    request = pb.ModelInferRequest(model_name=MODEL)
    tensor = request.inputs.add(name="pixels", datatype="UINT8", shape=[5 * MIB])
    tensor.contents.uint_contents.extend(np.zeros(5 * MIB, np.uint32))
    return request


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (many_inputs, "10000 inputs: at most 256"),
        (many_outputs, "10000 outputs: at most 256"),
        (many_typed_values, "send so many as raw contents"),
    ],
)
def test_more_parts_than_any_model_has_are_counted_and_not_looked_at(
    pair: RunningPair, make: Callable[[], pb.ModelInferRequest], said: str
) -> None:
    refused = infer(pair.predictor, make().SerializeToString())
    assert refused.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert said in refused.details()


def test_a_name_without_end_is_not_repeated(pair: RunningPair, client: Client) -> None:
    tensor = {"name": "n" * MIB, "datatype": "BYTES", "shape": [1], "data": ["x"]}
    answer = client.post(f"/v2/models/{MODEL}/infer", json={"inputs": [tensor]})
    assert (answer.status, answer.code) == (400, "REQUEST_INVALID")
    assert len(answer.message) < 300

    refused = infer(pair.predictor, pb.ModelInferRequest(model_name="m" * 100_000).SerializeToString())
    assert refused.code() is grpc.StatusCode.NOT_FOUND
    assert len(refused.details()) < 300


def test_json_over_the_limit_is_refused_before_it_is_parsed(client: Client) -> None:
    answer = client.post(f"/v2/models/{MODEL}/infer", content=b"[" * (33 * MIB))
    assert (answer.status, answer.code) == (413, "REQUEST_TOO_LARGE")


@pytest.mark.parametrize("accept", ["application/openmetrics-text; version=foo", "text/plain; version=1e9", "x/y;q=z"])
def test_metrics_are_answered_whatever_is_accepted(pair: RunningPair, accept: str) -> None:
    answer = httpx.get(f"{pair.transformer.url}/metrics", headers={"accept": accept}, timeout=PATIENCE_S)
    assert answer.status_code == 200
    assert "kserve_vision_requests" in answer.text


@pytest.mark.parametrize("charset", ["undefined", "punycode", "idna", "nonsense"])
def test_an_odd_charset_of_a_form_is_the_clients_fault(client: Client, charset: str) -> None:
    body = b'--B\r\ncontent-disposition: form-data; name="file"\r\n\r\nx\r\n--B--\r\n'
    headers = {"content-type": f"multipart/form-data; boundary=B; charset={charset}"}
    assert client.post("/predict", content=body, headers=headers).status in (400, 415, 422)
