from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.sdk.model_directory import write_model_directory
from tests.sdk.scripted_predictor import ScriptedPredictor
from tests.sdk.sides import Fleet, Server, Unready
from tests.sdk.trap import Side
from tests.servers import MODEL


@pytest.fixture(scope="session")
def session_predictor() -> Iterator[ScriptedPredictor]:
    predictor = ScriptedPredictor()
    yield predictor
    predictor.close()


@pytest.fixture
def scripted(session_predictor: ScriptedPredictor) -> ScriptedPredictor:
    """The predictor that transformers of both sides ask; it has seen nothing yet."""
    session_predictor.seen.clear()
    return session_predictor


@pytest.fixture(scope="session")
def fleet(session_predictor: ScriptedPredictor, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    root = tmp_path_factory.mktemp("models")
    whole, broken = write_model_directory(root / "whole"), write_model_directory(root / "broken")
    (broken / "model.onnx").unlink()
    servers = Fleet(session_predictor, whole, broken)
    yield servers
    servers.close()


@pytest.fixture
def predictor(fleet: Fleet, side: Side) -> Server:
    """A predictor of [n, 3, 64, 64] FP32, shared."""
    return fleet.shared_predictor(side)


@pytest.fixture
def protocol() -> str:
    """The protocol between transformer and predictor; a test may parametrise it."""
    return "grpc-v2"


@pytest.fixture
def transformer(fleet: Fleet, side: Side, protocol: str) -> Server:
    """A transformer in front of `scripted`, shared."""
    return fleet.shared_transformer(side, protocol)


@pytest.fixture
def unhealthy(fleet: Fleet, side: Side) -> Unready:
    """A model that says it is not ready: ours has no ONNX file."""
    return _unready(fleet, side, "unhealthy")


@pytest.fixture
def cold(fleet: Fleet, side: Side) -> Unready:
    """A model that refuses every request as not ready: ours has no ONNX file."""
    return _unready(fleet, side, "cold")


def _unready(fleet: Fleet, side: Side, kind: str) -> Unready:
    if side == "ours":
        return Unready(fleet.shared_broken_predictor(), MODEL)
    return Unready(fleet.shared_predictor(side), f"{MODEL}-{kind}")
