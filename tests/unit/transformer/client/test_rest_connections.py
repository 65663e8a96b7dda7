"""The REST client's connections, against a peer that does with them what it likes."""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from serving.call import Call
from serving.errors import DeadlineExceeded, PredictorFault, PredictorUnavailable, ServingError
from serving.v2 import InferRequest, Tensor
from transformer.address import Address
from transformer.client import pool as pools
from transformer.client.rest import RestClient
from transformer.settings import TransformerSettings

from .peer import PATIENCE_S, Peer, Serve, once, replying

HOST = "127.0.0.1"
SOON_S = 0.1
MEBIBYTE = 2**20
REQUEST = InferRequest("m", (Tensor("images", np.zeros((1, 64, 64, 3), dtype=np.uint8)),))
CONTENT = orjson.dumps(
    {"model_name": "m", "outputs": [{"name": "y", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}]}
)
OK = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(CONTENT) + CONTENT
LAST = OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1)
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(CONTENT), CONTENT)


def call(limit_s: float = PATIENCE_S) -> Call:
    made = Call("an-id", "test")
    made.limit(limit_s)
    return made


@asynccontextmanager
async def asking(serve: Serve, **settings: Any) -> AsyncIterator[tuple[RestClient, Peer]]:
    peer = Peer(serve)
    server = await asyncio.start_server(peer.accept, HOST, 0, limit=MEBIBYTE)
    port = server.sockets[0].getsockname()[1]
    client = client_of(f"{HOST}:{port}", **settings)
    try:
        yield client, peer
    finally:
        await client.close()
        await peer.until(lambda peer: not peer.open)
        server.close()
        await server.wait_closed()


def client_of(host: str, **settings: Any) -> RestClient:
    named = {"predictor_request_retries": 0} | settings
    return RestClient(TransformerSettings(predictor_host=host, predictor_protocol="v2", **named))


async def test_requests_one_after_another_share_a_connection() -> None:
    async with asking(replying(OK)) as (client, peer):
        for _ in range(10):
            answer = await client.infer(REQUEST, call())
            assert answer.output("y").array.tolist() == [[1, 2]]

    assert (peer.connections, len(peer.heads)) == (1, 10)


async def test_requests_at_the_same_time_have_connections_of_their_own() -> None:
    async with asking(replying(OK, pause_s=0.01)) as (client, peer):
        for _ in range(2):
            await asyncio.gather(*(client.infer(REQUEST, call()) for _ in range(100)))
        assert peer.connections <= 200 - pools.MAX_IDLE
        await peer.until(lambda peer: peer.open <= pools.MAX_IDLE)

    assert len(peer.heads) == 200


async def test_a_hundred_callers_of_an_unsteady_server_all_get_their_own_answer() -> None:
    """Each answer names the model that was asked for, on connections that close after three."""

    async def serve(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(3):
            await peer.read_request(reader)
            name = peer.heads[-1].split(b"/")[3]
            content = CONTENT.replace(b'"m"', b'"%b"' % name)
            await asyncio.sleep(0.001)
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(content))
            await writer.drain()
            writer.write(content)

    async def ask(client: RestClient, name: str) -> None:
        for _ in range(10):
            answer = await client.infer(InferRequest(name, REQUEST.inputs), call())
            assert answer.model_name == name

    async with asking(serve, predictor_request_retries=2) as (client, _):
        await asyncio.gather(*(ask(client, f"m{number}") for number in range(100)))


async def test_the_request_is_one_that_any_server_reads() -> None:
    async with asking(replying(OK)) as (client, peer):
        await client.infer(InferRequest("a model/ä", REQUEST.inputs, model_version="1"), call())

    (head,) = peer.heads
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /v2/models/a%20model%2F%C3%A4/versions/1/infer HTTP/1.1"
    assert lines[1].startswith(f"host: {HOST}:")
    assert "accept-encoding: identity" in lines


@pytest.mark.parametrize("reply", [LAST, OK.replace(b"1.1", b"1.0", 1)])
async def test_a_connection_that_the_server_gives_up_is_not_used_again(reply: bytes) -> None:
    async with asking(replying(reply)) as (client, peer):
        for _ in range(3):
            await client.infer(REQUEST, call())

    assert peer.connections == 3


@pytest.mark.parametrize(
    "reply",
    [CHUNKED, b"HTTP/1.1 100 Continue\r\n\r\n" + OK, b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" * 20 + OK],
    ids=["chunked", "after 100", "after hints"],
)
async def test_every_form_of_an_answer_is_read(reply: bytes) -> None:
    async with asking(replying(reply)) as (client, peer):
        for _ in range(2):
            assert (await client.infer(REQUEST, call())).output("y").shape == (1, 2)

    assert peer.connections == 1


async def test_a_large_answer_in_small_pieces_is_read() -> None:
    array = np.arange(300_000, dtype=np.float32)
    header = {"name": "y", "datatype": "FP32", "shape": [300_000], "parameters": {"binary_data_size": array.nbytes}}
    text = orjson.dumps({"model_name": "m", "outputs": [header]})
    head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(text) + array.nbytes}\r\n"
    head += f"inference-header-content-length: {len(text)}\r\n\r\n"

    async def serve(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.read_request(reader)
        whole = head.encode() + text + array.tobytes()
        for start in range(0, len(whole), 50_000):
            writer.write(whole[start : start + 50_000])
            await writer.drain()
            await asyncio.sleep(0)

    async with asking(serve) as (client, _):
        answer = await client.infer(REQUEST, call())

    assert (answer.output("y").array == array).all()


async def test_a_connection_that_was_closed_while_it_was_idle_is_not_used() -> None:
    async with asking(once(OK)) as (client, peer):
        for _ in range(3):
            await client.infer(REQUEST, call())
            await peer.until(lambda peer: not peer.open)

    assert peer.connections >= 3


async def test_a_request_that_meets_a_connection_about_to_close_goes_to_another() -> None:
    """The server reads the second request and hangs up, as one does whose limit on idle connections just struck."""
    async with asking(replying(OK, b"")) as (client, peer):
        for _ in range(5):
            await client.infer(REQUEST, call())

    assert (peer.connections, len(peer.heads)) == (5, 9)


async def test_a_new_connection_that_is_closed_without_an_answer_is_a_failure() -> None:
    async with asking(replying(b"")) as (client, peer):
        with pytest.raises(PredictorUnavailable, match="it was closed before the answer"):
            await client.infer(REQUEST, call())

    assert len(peer.heads) == 1


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (OK[:-1], PredictorUnavailable),
        (b"HTTP/1.1 200 OK\r\ncontent-le", PredictorUnavailable),
        (CHUNKED[:-1], PredictorUnavailable),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 500000\r\n\r\n" + bytes(1000), PredictorUnavailable),
        (b"HTTP/1.1 banana\r\n\r\n", PredictorUnavailable),
        (b"SSH-2.0-OpenSSH\r\n", PredictorUnavailable),
        (b"\0" * 100, PredictorUnavailable),
        (b"HTTP/1.1 200 OK\r\ncontent-length: banana\r\n\r\n", PredictorUnavailable),
        (b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n", PredictorFault),
        (OK.replace(b"content-length: ", b"content-length: 1\r\nx: "), PredictorFault),
        (b"HTTP/1.1 200 OK\r\nx: " + b"a" * MEBIBYTE, PredictorFault),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 999999999999\r\n\r\n", PredictorFault),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n400000\r\n" + bytes(4 * MEBIBYTE), PredictorFault),
        (b"HTTP/1.1 200 OK\r\n\r\n" + bytes(4 * MEBIBYTE), PredictorFault),
        (b"HTTP/1.1 204 No Content\r\n\r\n", PredictorFault),
    ],
    ids=lambda value: repr(value[:60]) if isinstance(value, bytes) else value.__name__,
)
async def test_a_bad_answer_is_an_error_and_the_end_of_its_connection(
    reply: bytes, expected: type[ServingError]
) -> None:
    async with asking(once(reply), max_body_bytes=2 * MEBIBYTE) as (client, peer):
        for _ in range(2):
            with pytest.raises(expected):
                await client.infer(REQUEST, call())

    assert peer.connections >= 2


async def test_an_answer_with_another_one_behind_it_is_taken_and_the_other_is_not() -> None:
    stray = OK.replace(b"[1,2]}]", b"[9,9]}]")
    async with asking(replying(OK + stray)) as (client, peer):
        for _ in range(3):
            assert (await client.infer(REQUEST, call())).output("y").array.tolist() == [[1, 2]]

    assert peer.connections == 3


async def test_what_a_server_says_unasked_is_nobodys_answer() -> None:
    async def serve(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.read_request(reader)
        writer.write(OK)
        await asyncio.sleep(0.01)
        writer.write(b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n")
        await reader.read()

    async with asking(serve) as (client, peer):
        await client.infer(REQUEST, call())
        await peer.until(lambda peer: not peer.open)
        await client.infer(REQUEST, call())

    assert peer.connections == 2


async def never(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read the request, and wait for the caller to give up."""
    await peer.read_request(reader)
    assert not writer.is_closing()
    await reader.read()


async def dribbling(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer a byte at a time, without an end."""
    await peer.read_request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.005)


async def deaf(_: Peer, __: asyncio.StreamReader, ___: asyncio.StreamWriter) -> None:
    """Read less than a large request, so that it is never written to its end."""
    await asyncio.sleep(2 * SOON_S)


@pytest.mark.parametrize("serve", [never, dribbling, deaf])
async def test_a_deadline_ends_the_request_and_its_connection(serve: Serve) -> None:
    request = InferRequest("m", (Tensor("images", np.zeros(8 * MEBIBYTE, dtype=np.uint8)),))

    async with asking(serve) as (client, peer):
        with pytest.raises(DeadlineExceeded):
            await client.infer(request, call(SOON_S))
        await peer.until(lambda peer: not peer.open)


async def test_a_cancelled_request_ends_its_connection_and_no_other() -> None:
    async with asking(replying(OK, pause_s=0.02)) as (client, peer):
        asked = [asyncio.create_task(client.infer(REQUEST, call())) for _ in range(4)]
        await peer.until(lambda peer: len(peer.heads) == 4)
        asked[0].cancel()
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert isinstance(answers[0], asyncio.CancelledError)
        assert not any(isinstance(answer, BaseException) for answer in answers[1:])
        await peer.until(lambda peer: peer.open == 3)
        await client.infer(REQUEST, call())

    assert peer.connections == 4


async def test_an_answer_before_the_end_of_the_request_is_taken_and_the_connection_is_not_used_again() -> None:
    """The server refuses a large body at its head, and reads on only then."""

    async def serve(_: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 X\r\ncontent-length: 9\r\n\r\ntoo large")
        await writer.drain()
        await reader.read()

    request = InferRequest("m", (Tensor("images", np.zeros(16 * MEBIBYTE, dtype=np.uint8)),))
    async with asking(serve) as (client, peer):
        for _ in range(2):
            with pytest.raises(PredictorFault, match="413: too large"):
                await client.infer(request, call())

    assert peer.connections == 2


async def test_an_old_connection_is_replaced() -> None:
    async with asking(replying(OK), predictor_keepalive_seconds=30) as (client, peer):
        await client.infer(REQUEST, call())
        (connection,) = client._pool._idle
        connection.opened_at -= 31
        await client.infer(REQUEST, call())

    assert peer.connections == 2


async def test_old_connections_are_closed_though_nobody_asks() -> None:
    async with asking(replying(OK), predictor_keepalive_seconds=1) as (client, peer):
        await client.infer(REQUEST, call())
        (connection,) = client._pool._idle
        connection.opened_at -= 2
        client._pool._sweep()
        await peer.until(lambda peer: not peer.open)


async def test_the_addresses_of_a_name_are_used_in_turn_and_a_dead_one_is_passed_over() -> None:
    used: list[str] = []

    async def serve(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        used.append(writer.get_extra_info("sockname")[0])
        await replying(LAST)(peer, reader, writer)

    async def three_addresses(_: Address) -> list[str]:
        return ["127.0.0.1", "127.0.0.2", "127.0.0.3"]  # of which nobody listens on the last

    server = await asyncio.start_server(Peer(serve).accept, "127.0.0.1", 0)
    address = Address("predictor", server.sockets[0].getsockname()[1])
    again = await asyncio.start_server(Peer(serve).accept, "127.0.0.2", address.port)
    pool = pools.Pool(address, None, max_body_bytes=MEBIBYTE, max_age_s=30, look_up=three_addresses)
    async with server, again:
        for _ in range(4):
            await pool.ask([b"GET / HTTP/1.1\r\ncontent-length: 0\r\n\r\n"])
        await pool.close()

    assert used == ["127.0.0.1", "127.0.0.2", "127.0.0.1", "127.0.0.1"]


async def test_a_name_that_nobody_knows_is_an_unavailable_predictor() -> None:
    client = client_of("nobody.invalid")
    try:
        with pytest.raises(PredictorUnavailable, match=r"nobody\.invalid"):
            await client.infer(REQUEST, call())
    finally:
        await client.close()


async def test_a_predictor_on_a_unix_socket_is_asked(tmp_path: Path) -> None:
    peer = Peer(replying(OK))
    path = tmp_path / "p.sock"
    server = await asyncio.start_unix_server(peer.accept, path)
    client = client_of(f"unix://{path}")
    try:
        for _ in range(3):
            await client.infer(REQUEST, call())
    finally:
        await client.close()
        server.close()
        await server.wait_closed()

    assert peer.connections == 1
    assert peer.heads[0].split(b"\r\n")[1] == b"host: localhost"


@pytest.mark.parametrize("left_behind", [True, False])
async def test_a_unix_socket_without_a_server_is_an_unavailable_predictor(tmp_path: Path, *, left_behind: bool) -> None:
    path = tmp_path / "p.sock"
    if left_behind:
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(path))
    client = client_of(f"unix://{path}")
    try:
        with pytest.raises(PredictorUnavailable, match=f"the predictor at unix://{path} cannot be reached"):
            await client.infer(REQUEST, call())
    finally:
        await client.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for `localhost` that signs itself, and its key, in one file."""
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    files = ["-keyout", str(path), "-out", str(path.with_suffix(".crt"))]
    subprocess.run(  # a fixed command
        [*command, *files, "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
        check=True,
        capture_output=True,
    )
    path.write_bytes(path.read_bytes() + path.with_suffix(".crt").read_bytes())
    return path


@asynccontextmanager
async def asking_encrypted(certificate: Path, host: str, **settings: Any) -> AsyncIterator[tuple[RestClient, Peer]]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    peer = Peer(replying(OK))
    server = await asyncio.start_server(peer.accept, HOST, 0, ssl=context, limit=MEBIBYTE)
    port = server.sockets[0].getsockname()[1]
    client = client_of(f"{host}:{port}", predictor_use_ssl=True, **settings)
    try:
        yield client, peer
    finally:
        await client.close()
        server.close()
        await server.wait_closed()


async def test_an_encrypted_predictor_is_asked(certificate: Path) -> None:
    ours = {"predictor_ca_file": certificate.with_suffix(".crt")}
    large = InferRequest("m", (Tensor("images", np.zeros(MEBIBYTE, dtype=np.uint8)),))

    async with asking_encrypted(certificate, "localhost", **ours) as (client, peer):
        for request in (REQUEST, large, REQUEST):
            await client.infer(request, call())

    assert peer.connections == 1


@pytest.mark.parametrize(("host", "is_known"), [("localhost", False), (HOST, True)])
async def test_an_encrypted_predictor_that_cannot_be_trusted_gets_no_picture(
    certificate: Path, host: str, *, is_known: bool
) -> None:
    settings = {"predictor_ca_file": certificate.with_suffix(".crt")} if is_known else {}

    async with asking_encrypted(certificate, host, **settings) as (client, peer):
        with pytest.raises(PredictorUnavailable, match="certificate verify failed"):
            await client.infer(REQUEST, call())

    assert not peer.heads
