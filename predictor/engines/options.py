"""How a session is made: the options of ONNX Runtime and of its providers, each with its reason.

What is not set here is left as ONNX Runtime has it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, TypeAlias

from predictor.engines.device import PROVIDERS, Device
from predictor.engines.runtime import ort
from predictor.engines.storing import GraphInput, StoredGraph

ProviderOptions: TypeAlias = dict[str, str]


class Optimization(StrEnum):
    """How far ONNX Runtime may rewrite a graph."""

    ALL = "all"
    EXTENDED = "extended"
    BASIC = "basic"
    NONE = "none"


_LEVELS: Final = {
    Optimization.ALL: ort.GraphOptimizationLevel.ORT_ENABLE_ALL,
    Optimization.EXTENDED: ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    Optimization.BASIC: ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    Optimization.NONE: ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
}


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """What a session should be like: the device that is wanted, the threads of one run on the one that takes it, and
    what the settings say; `sizes` are the numbers of rows that runs will have, in ascending order, where that is known;
    `fp16` is TensorRT's leave to compute in it.
    """

    device: Device
    threads: Callable[[Device], int]
    sizes: tuple[int, ...] = ()
    optimization: Optimization = Optimization.ALL
    arena: bool = True
    cuda_graphs: bool = False
    device_memory: int | None = None
    fp16: bool = False
    tf32: bool = True
    cache: Path | None = None


def session_options(graph: StoredGraph, device: Device, options: SessionOptions) -> ort.SessionOptions:
    """Return what holds for the session, whatever its providers."""
    made = ort.SessionOptions()
    made.graph_optimization_level = _LEVELS[options.optimization]
    made.intra_op_num_threads = options.threads(device)
    made.inter_op_num_threads = 1
    made.log_severity_level = 3
    made.enable_cpu_mem_arena = options.arena
    # On a CPU, planning a run's memory in one piece saves no time that can be measured, and an eighth more is held.
    made.enable_mem_pattern = device is not Device.CPU
    # Threads that spin for the next run cost a quarter of the CPU under load, and a server's threads have other work.
    made.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if isinstance(graph.source, bytes):
        made.add_session_config_entry("session.model_external_initializers_file_folder_path", str(graph.path.parent))
    return made


def provider_options(
    device: Device, inputs: Sequence[GraphInput], options: SessionOptions, *, records: bool, engines: Path | None
) -> list[tuple[str, ProviderOptions]]:
    """Return the providers of a device, the first of which is its own, each with its options.

    `records` is whether runs are recorded and replayed; `engines` is the folder that TensorRT keeps its engines in.
    """
    return [
        (provider, _options_of(provider, inputs, options, engines, records=records)) for provider in PROVIDERS[device]
    ]


def _options_of(
    provider: str,
    inputs: Sequence[GraphInput],
    options: SessionOptions,
    engines: Path | None,
    *,
    records: bool,
) -> ProviderOptions:
    if provider == "CUDAExecutionProvider":
        return _cuda(inputs, options, records=records)
    if provider == "TensorrtExecutionProvider":
        return {**tensorrt_build(inputs, options), **_tensorrt_cache(engines)}
    return {}


def _cuda(inputs: Sequence[GraphInput], options: SessionOptions, *, records: bool) -> ProviderOptions:
    made = {
        # A few sizes are run over and over: doubling what is held would only take it from others on the device.
        "arena_extend_strategy": "kSameAsRequested",
        # To try every algorithm takes a second a shape: worth it where warm-up meets them all, and a stall in the
        # middle of a request where each picture brings a shape of its own.
        "cudnn_conv_algo_search": "EXHAUSTIVE" if has_fixed_sides(inputs) else "HEURISTIC",
        "use_tf32": str(int(options.tf32)),
        "enable_cuda_graph": str(int(records)),
    }
    if options.device_memory is not None:
        made["gpu_mem_limit"] = str(options.device_memory)
    return made


def tensorrt_build(inputs: Sequence[GraphInput], options: SessionOptions) -> ProviderOptions:
    """Return the options that an engine depends on."""
    made = {"trt_fp16_enable": str(int(options.fp16))}
    if options.device_memory is not None:
        made["trt_max_workspace_size"] = str(options.device_memory)
    if options.sizes and has_fixed_sides(inputs) and any(each.shape[:1] == (None,) for each in inputs):
        # One engine for all sizes, best at the largest: without this, each larger size would build another.
        smallest, largest = options.sizes[0], options.sizes[-1]
        made["trt_profile_min_shapes"] = _profile(inputs, smallest)
        made["trt_profile_opt_shapes"] = _profile(inputs, largest)
        made["trt_profile_max_shapes"] = _profile(inputs, largest)
    return made


def has_fixed_sides(inputs: Sequence[GraphInput]) -> bool:
    """Whether the inputs' shapes are known but for the number of rows."""
    return all(None not in each.shape[1:] for each in inputs)


def _tensorrt_cache(engines: Path | None) -> ProviderOptions:
    if engines is None:
        return {}
    return {
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": str(engines),
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": str(engines),
    }


def _profile(inputs: Sequence[GraphInput], rows: int) -> str:
    return ",".join(f"{each.name}:{'x'.join(str(rows if s is None else s) for s in each.shape)}" for each in inputs)
