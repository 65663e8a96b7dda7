"""What answers in place of an API server is said in one sentence: a login proxy, or a server of something else."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import grpc
import pytest
import yaml
from typer.testing import CliRunner

from cli.cluster.kinds import INFERENCE_SERVICE
from cli.cluster.trying import Way, _channel
from cli.main import app
from rollout import NoCluster, NoSuchKind, Rejected, Unreachable
from rollout.connection import Connection
from rollout.kubeconfig import Target, connect

LOGIN = b"<html><title>Log in</title></html>"


@contextmanager
def answering(
    body: bytes, status: int, kubeconfig: Path, heard: list[Message] | None = None, **user: object
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
            self.end_headers()
            self.wfile.write(body)

        do_PATCH = do_POST = do_GET  # noqa: N815  # the standard library's names

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
            "users": [{"name": "u", "user": {"token": "t", **user}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }
        kubeconfig.write_text(yaml.safe_dump(config))
        try:
            yield connect(Target(kubeconfig))
        finally:
            server.shutdown()
            thread.join()


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
    acts = {"as": "somebody", "as-groups": ["readers", "releasers"], "as-uid": "7"}
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
