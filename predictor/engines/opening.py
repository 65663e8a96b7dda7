"""From a graph to the engine that was chosen for it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from predictor.engines.base import Engine
from predictor.engines.device import Device
from predictor.engines.onnxruntime import open_session
from predictor.engines.options import SessionOptions
from predictor.engines.storing import StoredGraph
from serving.contract import EngineName, Precision, Runtime
from serving.errors import ModelLoadFailed
from serving.log import get_logger

logger = get_logger(__name__)


def open_engine(
    graph: StoredGraph, runtime: Runtime, options: SessionOptions, lanes: Callable[[Device], int]
) -> Engine:
    """Load a graph into the engine that `runtime` names, for as many runs side by side as `lanes` says of the device.

    Raises:
        ModelLoadFailed: the engine is not installed or does not take the graph, the device or the precision.
    """
    if runtime.engine is EngineName.OPENVINO:
        engine = _open_openvino(graph, runtime.precision, options, lanes(Device.CPU))
    else:
        engine = _open_onnxruntime(graph, runtime.precision, options)
    logger.info("engine", engine=runtime.engine, precision=runtime.precision, device=engine.device)
    return engine


def _open_onnxruntime(graph: StoredGraph, precision: Precision, options: SessionOptions) -> Engine:
    if precision is Precision.FP16 and options.device is Device.TENSORRT:
        return open_session(graph, dataclasses.replace(options, fp16=True))
    if precision is not Precision.FP32:
        raise ModelLoadFailed(
            f"precision: {precision} is for engine: openvino, and fp16 for DEVICE=tensorrt; elsewhere ONNX Runtime "
            "computes a graph in the types that it is written in: set precision: fp32 (or PRECISION=fp32), or engine: "
            "openvino (or ENGINE=openvino)"
        )
    return open_session(graph, options)


def _open_openvino(graph: StoredGraph, precision: Precision, options: SessionOptions, lanes: int) -> Engine:
    if options.device not in (Device.AUTO, Device.CPU):
        raise ModelLoadFailed(
            f"engine: openvino runs on the CPU: DEVICE={options.device} needs engine: onnxruntime (or "
            "ENGINE=onnxruntime), and engine: openvino DEVICE=auto or DEVICE=cpu"
        )
    try:
        from predictor.engines.openvino import OpenVinoOptions, open_model  # noqa: PLC0415  # few images hold it
    except ImportError as error:
        raise ModelLoadFailed(
            f"engine: openvino needs OpenVINO, which cannot be imported ({error}): install the extra openvino, as in "
            "pip install 'kserve-vision[cpu,openvino]', or set engine: onnxruntime (or ENGINE=onnxruntime)"
        ) from error
    return open_model(graph, OpenVinoOptions(precision, lanes, options.threads(Device.CPU)))
