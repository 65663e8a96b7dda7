"""Model directories that cannot be served: the process stays, says why, and ends when it is told to."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

from serving.sdk import pb
from tests.servers import HOST, MODEL, RunningServer, running_server

from .doors import V1, V2, Client, picture_request

PATIENCE_S = 30.0


@dataclass(frozen=True)
class Broken:
    """A fault of a model directory, and what is to be said of it."""

    server: str
    spoil: Callable[[Path], object]
    code: str
    said: tuple[str, ...]


def edit(old: str, new: str) -> Callable[[Path], object]:
    def spoil(folder: Path) -> None:
        path = folder / "model.yaml"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    return spoil


def cut(folder: Path) -> None:
    path = folder / "model.onnx"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


BROKEN = {
    "a typo in the contract": Broken(
        "predictor",
        edit("normalize:", "normalise:"),
        "CONTRACT_INVALID",
        ("model.yaml", "input.normalise", "did you mean normalize?"),
    ),
    "a typo in the transformer's contract": Broken(
        "transformer",
        edit("decoder:", "decodr:"),
        "CONTRACT_INVALID",
        ("model.yaml", "output.decodr", "did you mean decoder?"),
    ),
    "an unknown task": Broken(
        "transformer",
        edit("task: classification", "task: clasification"),
        "CONTRACT_INVALID",
        ("task", "classification"),
    ),
    "no ONNX file": Broken(
        "predictor",
        lambda folder: (folder / "model.onnx").unlink(),
        "MODEL_LOAD_FAILED",
        ("model.onnx does not exist", "model.file in model.yaml"),
    ),
    "an ONNX file that is none": Broken(
        "predictor",
        lambda folder: (folder / "model.onnx").write_bytes(b"<html>404 Not Found</html>"),
        "MODEL_LOAD_FAILED",
        ("model.onnx is not an ONNX model",),
    ),
    "an ONNX file that is cut off": Broken("predictor", cut, "MODEL_LOAD_FAILED", ("model.onnx",)),
    "another input than the contract says": Broken(
        "predictor",
        edit("height: 224", "height: 192"),
        "CONTRACT_INVALID",
        ("input.layout NCHW, height 192 and width 224", "the graph's input"),
    ),
}


@dataclass(frozen=True)
class Started:
    """A server that has tried to load."""

    server: RunningServer
    client: Client


@pytest.fixture(scope="module")
def started(model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Started]]:
    """All of them at once: most of their time is imports."""
    root = tmp_path_factory.mktemp("models")
    with ExitStack() as stack, ThreadPoolExecutor(len(BROKEN)) as pool:
        starting = [
            pool.submit(stack.enter_context, _server(broken, root / str(number), model_dir))
            for number, broken in enumerate(BROKEN.values())
        ]
        servers = dict(zip(BROKEN, (future.result() for future in starting), strict=True))
        found = {name: Started(server, Client(server)) for name, server in servers.items()}
        for each in found.values():
            stack.callback(each.client.close)
        yield found


def _server(broken: Broken, folder: Path, model_dir: Path) -> AbstractContextManager[RunningServer]:
    shutil.copytree(model_dir, folder)
    broken.spoil(folder)
    flags = [f"--model_dir={folder}", *([f"--predictor_host={HOST}:1"] if broken.server == "transformer" else [])]
    return running_server(broken.server, flags, ready=False)


@pytest.fixture(params=BROKEN)
def name(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def broken(name: str) -> Broken:
    return BROKEN[name]


@pytest.fixture
def server(started: dict[str, Started], name: str) -> RunningServer:
    server, kind = started[name].server, BROKEN[name].server
    deadline = time.monotonic() + PATIENCE_S
    while not server.log.events(kind, "load failed"):
        assert time.monotonic() < deadline
        assert server.process.exit_code is None
        time.sleep(0.02)
    return server


@pytest.fixture
def asked(started: dict[str, Started], server: RunningServer, name: str) -> Client:
    """Connections to a server that has given up."""
    assert server is started[name].server
    return started[name].client


def test_the_process_lives_and_is_not_ready(asked: Client, server: RunningServer) -> None:
    assert asked.get("/v2/health/live").status == 200
    assert asked.http.get("/health").json() == {"status": "alive", "model_loaded": False}
    assert asked.stub.ServerLive(pb.ServerLiveRequest()).live
    assert not asked.stub.ServerReady(pb.ServerReadyRequest()).ready
    assert not asked.stub.ModelReady(pb.ModelReadyRequest(name=MODEL)).ready
    assert server.process.exit_code is None


@pytest.mark.parametrize("path", ["/ready", "/v2/health/ready", f"/v2/models/{MODEL}/ready", f"/v2/models/{MODEL}"])
def test_readiness_tells_what_is_to_be_mended(asked: Client, broken: Broken, path: str) -> None:
    answer = asked.get(path)

    assert (answer.status, answer.code) == (503, broken.code)
    assert all(part in answer.message for part in broken.said), answer.message


@pytest.mark.parametrize("path", [V2, V1])
def test_a_request_is_told_the_same(asked: Client, broken: Broken, path: str) -> None:
    answer = asked.post(path, json={})

    assert (answer.status, answer.code) == (503, broken.code)
    assert all(part in answer.message for part in broken.said)


def test_a_request_of_grpc_is_told_the_same(asked: Client, broken: Broken) -> None:
    answer = asked.call(picture_request(b""))

    assert (answer.status, answer.code) == (grpc.StatusCode.UNAVAILABLE, broken.code)
    assert all(part in answer.message for part in broken.said)


def test_another_model_is_still_not_found(asked: Client) -> None:
    assert asked.get("/v2/models/nobody").code == "MODEL_NOT_FOUND"


def test_the_log_tells_it_once_and_sigterm_ends_it_cleanly(server: RunningServer, broken: Broken) -> None:
    code = server.process.stop()

    (event,) = server.log.events(broken.server, "load failed")
    assert (event["code"], event["level"]) == (broken.code, "error")
    assert code == 0
    assert not [line for _, line in server.log.lines if line.startswith("Traceback")], "all of it in JSON lines"


def nowhere(folder: Path) -> None:
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("server", "spoil", "said"),
    [
        ("predictor", lambda folder: (folder / "model.yaml").unlink(), "model.yaml"),
        ("transformer", nowhere, "does not exist"),
        ("edge", cut, "model.onnx"),
    ],
    ids=["no contract", "no directory", "no whole model"],
)
def test_a_server_that_may_ends_with_the_reason_as_its_last_words(
    model_dir: Path, tmp_path: Path, server: str, spoil: Callable[[Path], object], said: str
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(model_dir, folder)
    spoil(folder)
    flags = [f"--model_dir={folder}", "--exit_when_useless=true"]
    flags += [f"--predictor_host={HOST}:1"] if server == "transformer" else []
    with running_server(server, flags, ready=False) as running:
        deadline = time.monotonic() + PATIENCE_S
        while running.process.exit_code is None:
            assert time.monotonic() < deadline
            time.sleep(0.02)

    assert running.process.exit_code == 1
    last = running.log.lines[-1][1]
    assert last.startswith(f"{server}: ")
    assert said in last
    assert not [line for _, line in running.log.lines if line.startswith("Traceback")]


def test_a_server_whose_models_may_be_loaded_later_stays(model_dir: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(model_dir, folder)
    cut(folder)
    flags = [f"--model_dir={folder}", "--exit_when_useless=true", "--model_control=true"]
    with running_server("predictor", flags, ready=False) as running:
        deadline = time.monotonic() + PATIENCE_S
        while not running.log.events("predictor", "load failed"):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        time.sleep(1.5)
        assert running.process.exit_code is None
