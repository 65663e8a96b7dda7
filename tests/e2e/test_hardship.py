"""What slow, careless and odd clients cost: themselves an answer, and nobody else anything."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import httpx
import pytest
from PIL import Image

from tests.photos import encoded, photo
from tests.servers import RunningPair, RunningServer, running_pair, running_server

from .doors import Client, raw_body

PATIENCE_S = 20.0
HEAD = "POST /predict HTTP/1.1\r\nhost: x\r\ncontent-type: image/jpeg\r\ncontent-length: 100000\r\n"


def connect(server: RunningServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.ports.http), timeout=PATIENCE_S)


def read_all(connection: socket.socket) -> bytes:
    """Read until the server closes the connection."""
    received = b""
    while chunk := connection.recv(65536):
        received += chunk
    return received


def codes(pair: RunningPair) -> list[str]:
    return [event["code"] for event in pair.log.events("transformer", "request")]


@pytest.mark.usefixtures("still_serves")
def test_a_body_that_does_not_arrive_in_time_is_answered_and_the_connection_closed(pair: RunningPair) -> None:
    with connect(pair.transformer) as connection:
        connection.sendall(f"{HEAD}x-request-timeout-ms: 300\r\n\r\nabc".encode())
        received = read_all(connection)
    assert received.startswith(b"HTTP/1.1 504 ")
    assert b"connection: close" in received.lower()
    assert b"DEADLINE_EXCEEDED" in received


@pytest.mark.usefixtures("still_serves")
def test_an_upload_that_is_given_up_is_a_cancelled_request_and_no_fault(pair: RunningPair, client: Client) -> None:
    before = codes(pair).count("CANCELLED")
    with connect(pair.transformer) as connection:
        connection.sendall(f"{HEAD}\r\nabc".encode())
    until = time.monotonic() + PATIENCE_S
    while codes(pair).count("CANCELLED") == before and time.monotonic() < until:
        client.get("/health")
    assert codes(pair).count("CANCELLED") == before + 1


@pytest.mark.usefixtures("still_serves")
def test_pictures_whose_client_has_gone_never_reach_the_predictor(pair: RunningPair, cat: bytes) -> None:
    before = codes(pair).count("CANCELLED")
    large = encoded(photo(size=(2400, 1600)), "JPEG")  # of which there is a second of work when the client goes
    picture = b'--x\r\ncontent-disposition: form-data; name="files"; filename="a"\r\n\r\n' + large + b"\r\n"
    body = picture * 60 + b"--x--\r\n"
    head = (
        "POST /predict/batch HTTP/1.1\r\nhost: x\r\ncontent-type: multipart/form-data; boundary=x\r\n"
        f"x-request-id: gone\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    with connect(pair.transformer) as connection:
        connection.sendall(head.encode() + body)

    deadline = time.monotonic() + PATIENCE_S
    while codes(pair).count("CANCELLED") == before and time.monotonic() < deadline:
        time.sleep(0.05)

    assert codes(pair).count("CANCELLED") == before + 1
    # Lines come a moment later, in order: after that of another request there is none to come.
    httpx.post(
        f"{pair.transformer.url}/predict", content=cat, headers={"content-type": "image/jpeg", "x-request-id": "next"}
    )
    pair.log.wait_for("predictor", "request", request_id="next")
    assert all(event["request_id"] != "gone" for event in pair.log.events("predictor", "request"))


@pytest.mark.usefixtures("still_serves")
@pytest.mark.parametrize("value", [b"\xff\xfe", b"a\tb", b"0" * 600], ids=["bytes", "tab", "long"])
def test_a_trace_header_that_could_not_be_passed_on_is_dropped(pair: RunningPair, cat: bytes, value: bytes) -> None:
    head = HEAD.replace("100000", str(len(cat))).encode()
    with connect(pair.transformer) as connection:
        connection.sendall(head + b"connection: close\r\ntraceparent: " + value + b"\r\n\r\n" + cat)
        assert read_all(connection).startswith(b"HTTP/1.1 200 ")


@pytest.mark.usefixtures("still_serves")
def test_a_misspelt_query_parameter_is_refused_by_name(client: Client, cat: bytes) -> None:
    answer = client.post("/predict?topk=1", content=cat, headers={"content-type": "image/jpeg"})
    assert (answer.status, answer.code) == (400, "REQUEST_INVALID")
    assert "topk is not one of top_k, confidence_threshold" in answer.message


@pytest.mark.parametrize("query", ["top_k=1&top_k=5", "version=1&version=1", "render=true&render=false"])
def test_of_a_query_parameter_that_comes_twice_none_is_chosen(client: Client, cat: bytes, query: str) -> None:
    answer = client.post(f"/predict?{query}", content=cat, headers={"content-type": "image/jpeg"})
    assert (answer.status, answer.code) == (400, "REQUEST_INVALID")
    assert f"{query.partition('=')[0]} comes several times" in answer.message


def test_limits_for_strangers_do_not_keep_a_transformer_from_being_ready(pair: RunningPair, model_dir: Path) -> None:
    limits = ["--image_formats=PNG", "--max_image_pixels=1000", "--max_upload_mb=0.001"]
    flags = [f"--model_dir={model_dir}", f"--predictor_host={pair.predictor.grpc}", *limits]
    plain = Image.new("RGB", (40, 40))
    strangers = [encoded(plain, "JPEG"), encoded(plain, "PNG"), encoded(photo("chelsea"), "PNG")]
    with running_server("transformer", flags) as transformer:
        client = Client(transformer)
        refused = [raw_body(client, picture).status for picture in strangers]
        client.close()
    assert refused == [415, 413, 413]


def test_a_predictor_that_comes_back_unfused_on_the_same_port_is_understood(model_dir: Path, cat: bytes) -> None:
    with running_pair(model_dir, protocol="grpc-v2") as pair:
        client = Client(pair.transformer)
        assert raw_body(client, cat).label == "tiger cat"
        ports = pair.predictor.ports
        assert pair.predictor.process.stop() == 0
        flags = [
            f"--model_dir={model_dir}",
            f"--http_port={ports.http}",
            f"--grpc_port={ports.grpc}",
            "--fuse_input=false",
        ]
        with running_server("predictor", flags):
            pair.transformer.process.wait_ready()
            answer = raw_body(client, cat)
            client.close()
    assert (answer.is_ok, answer.label) == (True, "tiger cat")
