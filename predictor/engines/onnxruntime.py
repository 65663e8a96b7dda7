"""ONNX Runtime as an engine: which device takes a graph, and the lanes on it."""

from __future__ import annotations

import ctypes
import dataclasses
import importlib
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Final

from predictor.engines.base import Engine, Lane
from predictor.engines.binding import BoundLane
from predictor.engines.cache import EngineCache
from predictor.engines.cuda import DRIVER, OpenLibrary, find_gpu, open_runtime
from predictor.engines.device import PROVIDERS, Device, candidates
from predictor.engines.gate import Gate
from predictor.engines.memory import CudaMemory, DeviceMemory
from predictor.engines.options import (
    SessionOptions,
    has_fixed_sides,
    provider_options,
    session_options,
    tensorrt_build,
)
from predictor.engines.runtime import ort
from predictor.engines.session import RUNTIME_ERRORS, Session
from predictor.engines.storing import StoredGraph
from serving.errors import ModelLoadFailed
from serving.log import get_logger
from serving.v2 import Tensor

logger = get_logger(__name__)

CUDA_DEVICES: Final = (Device.CUDA, Device.TENSORRT)
GATE: Final = Gate()
"""Of the process, as CUDA's recordings are."""


class OnnxRuntime(Engine):
    """A session, or one for each lane where a device wants that."""

    platform = "onnxruntime_onnx"

    def __init__(self, opener: SessionOpener) -> None:
        """Open the first session.

        Raises:
            ModelLoadFailed: the device does not take the graph, or is not there.
        """
        self._opener = opener
        self._session = opener.open(records=opener.records)
        self._lanes: list[BoundLane] = []
        self.device = opener.device
        self.inputs = self._session.inputs
        self.outputs = self._session.outputs

    def open_lane(self) -> Lane:
        """Return one more lane."""
        if self.device not in CUDA_DEVICES:
            return SessionLane(self._session)
        opener = self._opener
        # TensorRT runs one thing of a session at a time, and so does one that records.
        alone = bool(self._lanes) and (opener.records or self.device is Device.TENSORRT)
        session = opener.open(records=opener.records) if alone else self._session
        lane = BoundLane(session, _cuda_memory(), GATE, partial(opener.open, records=False) if opener.records else None)
        self._lanes.append(lane)
        return lane

    def settle(self) -> None:
        """Keep the engines that were built for the sizes that were met, and make no more sessions."""
        for lane in self._lanes:
            lane.settle()
        self._opener.keep()


class SessionLane(Lane):
    """Runs a session with arrays of this process' memory, which ONNX Runtime reads where they lie."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session

    def run(self, inputs: Sequence[Tensor], outputs: Sequence[str]) -> tuple[Tensor, ...]:
        """Run the model once."""
        return self._session.run(inputs, outputs)

    def trim(self, inputs: Sequence[Tensor], outputs: Sequence[str]) -> None:
        """Give back the memory that the sizes took which were tried and are not used."""
        self._session.shrink(inputs, outputs)


class SessionOpener:
    """Opens sessions of one graph on one device, as long as the graph is there."""

    def __init__(self, graph: StoredGraph, device: Device, options: SessionOptions) -> None:
        self.device = device
        self.records = options.cuda_graphs and device is Device.CUDA and has_fixed_sides(graph.inputs)
        self._graph = graph
        self._options = options
        self._cache: EngineCache | None = None

    def open(self, *, records: bool) -> Session:
        """Open one more session.

        Raises:
            ModelLoadFailed: the device does not take the graph, or is not there.
        """
        if self.device in CUDA_DEVICES:
            load_cuda()
        if self.device is Device.TENSORRT:
            return self._open_tensorrt()
        if records:
            try:
                return self._make(records=True)
            except ModelLoadFailed as error:  # a node that runs on the CPU, say
                logger.info("CUDA graphs off", reason=error.message)
                self.records = False
        return self._make()

    def keep(self) -> None:
        """Keep the engines that were built, for the next process."""
        if self._cache is not None:
            self._cache.publish()

    def _open_tensorrt(self) -> Session:
        try:
            return self._make_cached()
        except ModelLoadFailed as error:
            if not self._options.sizes:
                raise
            # Where the graph is cut into parts, each part wants profiles for inputs that only ONNX Runtime knows.
            logger.warning("TensorRT without shape profiles", reason=error.message)
        self._options = dataclasses.replace(self._options, sizes=())
        self._cache = None
        return self._make_cached()

    def _make_cached(self) -> Session:
        cache = self._cache = self._cache or self._engine_cache()
        engines = cache.open() if cache else None
        try:
            return self._make(engines=engines)
        except ModelLoadFailed as error:
            if cache is None or engines is None or not any(engines.iterdir()):
                raise
            logger.warning("engine cache dropped", folder=str(engines), reason=error.message)
            cache.discard()
            return self._make(engines=cache.open())

    def _engine_cache(self) -> EngineCache | None:
        """Return the cache of engines, if there is a folder for it, and each picture does not want another engine."""
        if self._options.cache is None or not has_fixed_sides(self._graph.inputs):
            return None
        gpu = find_gpu()
        if gpu is None:
            logger.warning("engine cache not used", reason="the GPU's name and driver cannot be asked for")
            return None
        device = {**dataclasses.asdict(gpu), "onnxruntime": ort.__version__}
        build = {"graph": self._graph.digest(), **tensorrt_build(self._graph.inputs, self._options)}
        return EngineCache(self._options.cache, device, build)

    def _make(self, *, records: bool = False, engines: Path | None = None) -> Session:
        device, graph = self.device, self._graph
        try:
            with GATE.run() if device in CUDA_DEVICES else nullcontext():
                session = ort.InferenceSession(
                    graph.source,
                    sess_options=session_options(graph, device, self._options),
                    providers=provider_options(device, graph.inputs, self._options, records=records, engines=engines),
                    # Which would print to the standard output, and go on with a CPU where a GPU was named.
                    enable_fallback=0,
                )
        except (*RUNTIME_ERRORS, ValueError) as error:  # a ValueError: names that are no UTF-8
            raise ModelLoadFailed(f"ONNX Runtime cannot load {graph.path}: {str(error).strip()}") from error
        # ONNX Runtime goes on without a provider whose libraries are missing.
        if PROVIDERS[device][0] not in session.get_providers():
            raise ModelLoadFailed(
                f"{PROVIDERS[device][0]} could not be set up for DEVICE={device}: ONNX Runtime's own message stands "
                "above this"
            )
        return Session(session, device)


def open_session(graph: StoredGraph, options: SessionOptions) -> OnnxRuntime:
    """Open a graph on the first device that takes it.

    Raises:
        ModelLoadFailed: no device takes it, or the one that was named does not.
    """
    tried = candidates(options.device, ort.get_available_providers())
    for device in tried:
        try:
            return OnnxRuntime(SessionOpener(graph, device, options))
        except ModelLoadFailed as error:
            if device is tried[-1]:
                raise
            logger.warning("device failed", device=device, error=error.message)
    raise ModelLoadFailed(f"DEVICE={options.device}: the installed ONNX Runtime has none of its providers")


def load_cuda(open_library: OpenLibrary = ctypes.CDLL) -> None:
    """Load the libraries of CUDA, cuDNN and TensorRT that are installed as packages, where ONNX Runtime finds them.

    Raises:
        ModelLoadFailed: there is no driver, and so no GPU.
    """
    try:
        open_library(DRIVER)
    except OSError as error:
        raise ModelLoadFailed(
            f"there is no NVIDIA driver here ({error}): ask for a GPU in the pod's limits (nvidia.com/gpu: 1)"
        ) from error
    with suppress(ImportError):  # TensorRT's own package of libraries, which loads them
        importlib.import_module("tensorrt_libs")
    ort.preload_dlls()


def _cuda_memory() -> DeviceMemory:
    runtime = open_runtime(ort.cuda_version or "")
    return CudaMemory(runtime) if runtime is not None else DeviceMemory("cuda")
