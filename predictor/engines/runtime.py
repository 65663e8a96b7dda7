"""The one import of ONNX Runtime: every other module has `ort` from here.

From its import on, ONNX Runtime writes down what it runs and sends it to its makers, unless the environment forbids it
by then.
"""

from __future__ import annotations

import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime as ort

__all__ = ["ort"]
