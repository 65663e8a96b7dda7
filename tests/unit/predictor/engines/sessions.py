"""Sessions on the CPU, as lanes and engines get them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper

from predictor.engines import OnnxRuntime, SessionOptions, open_session, store
from predictor.engines.device import Device
from predictor.engines.session import Session
from serving.v2 import Tensor
from tests.unit.predictor.graphs import model, value

NOWHERE = Path("model.onnx")


def options(**others: Any) -> SessionOptions:
    return SessionOptions(**{"device": Device.CPU, "threads": lambda _: 1, **others})


def engine_of(graph: onnx.ModelProto, **others: Any) -> OnnxRuntime:
    with store(graph, NOWHERE) as stored:
        return open_session(stored, options(**others))


def session_of(graph: onnx.ModelProto, **others: Any) -> Session:
    return engine_of(graph, **others)._session


def network(*, sides: int | str = 8) -> onnx.ModelProto:
    """Two inputs, a convolution with weights that are kept apart, and two outputs: [n, 32] and [n, 1]."""
    weights = np.random.default_rng(3).normal(size=(32, 3, 3, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["images", "weights"], ["maps"]),
        helper.make_node("GlobalAveragePool", ["maps"], ["means"]),
        helper.make_node("Flatten", ["means"], ["flat"]),
        helper.make_node("Mul", ["flat", "factor"], ["scores"]),
        helper.make_node("ArgMax", ["scores"], ["best"], axis=1),
    ]
    inputs = [value("images", ["n", 3, sides, sides]), value("factor", ["n", 1])]
    return model(nodes, inputs, [value("scores", ["n", 32]), value("best", ["n", 1], "INT64")], weights=weights)


def rows(count: int, seed: int = 0, side: int = 8) -> list[Tensor]:
    random = np.random.default_rng(seed)
    images = random.normal(size=(count, 3, side, side)).astype(np.float32)
    return [Tensor("images", images), Tensor("factor", random.normal(size=(count, 1)).astype(np.float32))]
