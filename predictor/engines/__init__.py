"""Engines: what runs a graph. Everything before an engine is tensors, everything behind it a device.

A new engine is one module with an `Engine` and its `Lane`, and a choice in `opening`.
"""

from predictor.engines.base import Buffers, Engine, Lane
from predictor.engines.onnxruntime import OnnxRuntime, open_session
from predictor.engines.opening import open_engine
from predictor.engines.options import Optimization, SessionOptions
from predictor.engines.storing import StoredGraph, store

__all__ = [
    "Buffers",
    "Engine",
    "Lane",
    "OnnxRuntime",
    "Optimization",
    "SessionOptions",
    "StoredGraph",
    "open_engine",
    "open_session",
    "store",
]
