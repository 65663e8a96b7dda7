"""What answers in place of an API server is said in one sentence: a login proxy, or a server of something else."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Thread
from typing import Any

import grpc
import pytest
import yaml
from typer.testing import CliRunner

from cli.cluster.kinds import INFERENCE_SERVICE
from cli.cluster.trying import Way, _channel
from cli.main import app
from rollout import Denied, NoCluster, NoSuchKind, Rejected, Unreachable
from rollout.connection import BUSY_TRIES, Connection
from rollout.kubeconfig import Target, connect

LOGIN = b"<html><title>Log in</title></html>"


@contextmanager
def answering(
    body: bytes,
    status: int,
    kubeconfig: Path,
    heard: list[Message] | None = None,
    retry_after: str | None = None,
    **user: object,
) -> Iterator[Connection]:
    """A server that gives one answer to all, and a connection to it by a kubeconfig of `user`; `heard` are the headers
    that it gets.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if heard is not None:
                heard.append(self.headers)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            if retry_after is not None:
                self.send_header("Retry-After", retry_after)
            self.end_headers()
            self.wfile.write(body)

        do_PATCH = do_POST = do_GET  # noqa: N815  # the standard library's names

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield connected(kubeconfig, server.server_port, **user)
        finally:
            server.shutdown()
            thread.join()


def connected(kubeconfig: Path, port: int, **user: object) -> Connection:
    """A connection to a port of this machine, by a kubeconfig of `user`."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "u", "user": {"token": "t", **user}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    kubeconfig.write_text(yaml.safe_dump(config))
    return connect(Target(kubeconfig))


@pytest.mark.parametrize("body", [LOGIN, b"", b"[]", b'"text"', b"{", b"{}"])
@pytest.mark.parametrize(
    "command",
    [
        ("status",),
        ("doctor",),
        ("logs", "demo"),
        ("deploy", "s3://bucket/demo"),
        ("canary", "status", "demo"),
        ("canary", "start", "demo", "--uri", "s3://bucket/demo2"),
        ("canary", "abort", "demo"),
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_a_command_says_that_what_answers_is_no_api_server(
    tmp_path: Path, command: tuple[str, ...], body: bytes
) -> None:
    with answering(body, 200, tmp_path / "config") as connection:
        done = CliRunner().invoke(app, [*command, "--kubeconfig", str(tmp_path / "config")], env={"COLUMNS": "400"})
    assert done.exit_code == 1
    assert isinstance(done.exception, SystemExit)
    assert "Traceback" not in done.stderr
    if body != b"{}" or "canary" in command:
        assert f"{connection.server} is no API server" in done.stderr


@pytest.mark.parametrize("command", [("status",), ("canary", "status", "demo")], ids=" ".join)
@pytest.mark.parametrize(("body", "answers"), [(LOGIN, "Log in"), (b"", "with status 302 and nothing else")])
def test_who_is_sent_elsewhere_met_no_api_server(
    tmp_path: Path, command: tuple[str, ...], body: bytes, answers: str
) -> None:
    with answering(body, 302, tmp_path / "config"):
        done = CliRunner().invoke(app, [*command, "--kubeconfig", str(tmp_path / "config")], env={"COLUMNS": "400"})
    assert done.exit_code == 1
    assert "does a proxy want a login first" in done.stderr
    assert answers in done.stderr


@pytest.mark.parametrize(
    "ask",
    [
        lambda connection: connection.get(INFERENCE_SERVICE, "default", "demo"),
        lambda connection: connection.objects(INFERENCE_SERVICE),
        lambda connection: connection.document("/version"),
        lambda connection: connection.apply(INFERENCE_SERVICE, {"metadata": {"name": "demo"}}),
        lambda connection: connection.create(INFERENCE_SERVICE, {"metadata": {"name": "demo", "namespace": "default"}}),
        lambda connection: connection.patch(INFERENCE_SERVICE, "default", "demo", [], dry_run=True),
    ],
    ids=["get", "objects", "document", "apply", "create", "patch"],
)
def test_every_way_to_ask_gets_the_same_fault(tmp_path: Path, ask: object) -> None:
    with answering(LOGIN, 200, tmp_path / "config") as connection, pytest.raises(NoCluster, match="is no API server"):
        ask(connection)  # type: ignore[operator]  # a function


NO_OBJECT = b'{"kind": "Status", "details": {"kind": "inferenceservices", "name": "demo"}, "code": 404}'
OTHER_ORDER = b'{"details":{"group":"serving.kserve.io","name":"demo"},"kind":"Status","code":404}'
NO_KIND = (
    b'{"kind": "Status", "message": "the server could not find the requested resource", "details": {}, "code": 404}'
)


@pytest.mark.parametrize("body", [NO_OBJECT, OTHER_ORDER])
def test_an_object_that_is_not_there_is_none_however_the_answer_is_written(tmp_path: Path, body: bytes) -> None:
    with answering(body, 404, tmp_path / "config") as connection:
        assert connection.get(INFERENCE_SERVICE, "default", "demo") is None


@pytest.mark.parametrize(("body", "fault"), [(NO_KIND, NoSuchKind), (b'note: "details":{"name"', Rejected)])
def test_another_answer_that_nothing_is_there_is_none(tmp_path: Path, body: bytes, fault: type[Exception]) -> None:
    with answering(body, 404, tmp_path / "config") as connection, pytest.raises(fault):
        connection.get(INFERENCE_SERVICE, "default", "demo")


@pytest.mark.parametrize(
    "command",
    [("status", "demo"), ("logs", "demo"), ("canary", "status", "demo"), ("canary", "abort", "demo")],
    ids=" ".join,
)
def test_who_acts_as_another_does_so_with_all_groups_in_every_request(tmp_path: Path, command: tuple[str, ...]) -> None:
    heard: list[Message] = []
    acts: dict[str, Any] = {"as": "somebody", "as-groups": ["readers", "releasers"], "as-uid": "7"}
    with answering(NO_OBJECT, 404, tmp_path / "config", heard, **acts):
        CliRunner().invoke(app, [*command, "--kubeconfig", str(tmp_path / "config")])
    assert heard
    for each in heard:
        assert each.get_all("Impersonate-User") == ["somebody"]
        assert each.get_all("Impersonate-Group") == ["readers", "releasers"]
        assert each.get_all("Impersonate-Uid") == ["7"]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_that_fails_for_now_may_answer_later(tmp_path: Path, status: int) -> None:
    with (
        answering(b'{"message": "etcd is away"}', status, tmp_path / "config") as connection,
        pytest.raises(Unreachable, match=f"cannot get inferenceservices.*now .{status}.: etcd is away"),
    ):
        connection.get(INFERENCE_SERVICE, "default", "demo")


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_that_says_when_it_may_answer_is_asked_again(tmp_path: Path, status: int) -> None:
    heard: list[Message] = []
    with (
        answering(b"", status, tmp_path / "config", heard, retry_after="0") as connection,
        pytest.raises(Unreachable, match="is busy, again and again"),
    ):
        connection.document("/version")
    assert len(heard) == BUSY_TRIES


@pytest.mark.parametrize("status", [200, 302, 403, 404])
def test_an_answer_that_asking_again_would_not_change_is_taken(tmp_path: Path, status: int) -> None:
    heard: list[Message] = []
    with (
        answering(b"{", status, tmp_path / "config", heard, retry_after="0") as connection,
        pytest.raises((NoCluster, Rejected, Denied)),
    ):
        connection.document("/version")
    assert len(heard) == 1


def test_what_a_pod_answers_is_taken_as_it_is(tmp_path: Path) -> None:
    """Our servers say themselves when one that is not ready may be asked again."""
    heard: list[Message] = []
    with answering(b'{"error": "not ready"}', 503, tmp_path / "config", heard, retry_after="1") as connection:
        assert connection.answer("/proxy/v2/health/ready", 2) == (503, b'{"error": "not ready"}')
    assert len(heard) == 1


@contextmanager
def holding(head: bytes, kubeconfig: Path) -> Iterator[tuple[Connection, list[int]]]:
    """A server that begins an answer and falls silent, a connection to it, and the ports that it is asked from."""
    asked_from: list[int] = []

    class Handler(BaseRequestHandler):
        def handle(self) -> None:
            asked_from.append(self.client_address[1])
            self.request.recv(65536)
            self.request.sendall(head)
            self.request.recv(1)  # until who asks goes

    with ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads, server.block_on_close = True, False
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield connected(kubeconfig, server.server_address[1]), asked_from
        finally:
            server.shutdown()
            thread.join()


def test_a_refused_log_whose_reason_never_comes_is_given_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("rollout.connection.READ_S", 0.2)
    refused = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 10\r\n\r\n"
    with holding(refused, tmp_path / "config") as (connection, _), pytest.raises(Unreachable, match="ended its answer"):
        next(connection.lines("/log", "pods/log of demo", {}))


def test_a_log_that_is_silent_is_asked_by_the_kernel_whether_its_server_lives(tmp_path: Path) -> None:
    begun = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\none\n\r\n"
    with holding(begun, tmp_path / "config") as (connection, asked_from):
        lines = connection.lines("/log", "pods/log of demo", {})
        assert next(lines) == "one"
        sockets = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        (timer,) = (each[5] for each in sockets if each[1].endswith(f":{asked_from[0]:04X}"))
    assert timer.startswith("02:"), "no timer for TCP keepalive"


@pytest.mark.parametrize("name", ["http_proxy", "https_proxy", "grpc_proxy"])
def test_a_forwarded_port_is_asked_over_no_proxy(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for each in ("no_proxy", "NO_PROXY", "no_grpc_proxy"):
        monkeypatch.delenv(each, raising=False)
    monkeypatch.setenv(name, "http://127.0.0.1:1")
    handler = grpc.method_handlers_generic_handler(
        "a", {"b": grpc.unary_unary_rpc_method_handler(lambda request, _: request)}
    )
    server = grpc.server(futures.ThreadPoolExecutor(1), handlers=(handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with _channel(Way(f"127.0.0.1:{port}", "demo.example.com", is_tls=False, said="")) as channel:
            assert channel.unary_unary("/a/b")(b"asked", timeout=10) == b"asked"
    finally:
        server.stop(None).wait()
