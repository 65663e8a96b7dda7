from __future__ import annotations

from pathlib import Path
from typing import Any

import onnxruntime as ort
import pytest

from predictor.engines.device import Device
from predictor.engines.options import Optimization, provider_options, session_options
from predictor.engines.storing import GraphInput, StoredGraph

from .sessions import options

PIXELS = GraphInput("pixels", (None, 224, 224, 3))
SIZE = GraphInput("size", (None, 2))
FREE = GraphInput("pixels", (None, None, None, 3))
FIXED = GraphInput("pixels", (4, 224, 224, 3))


def of(device: Device, *inputs: GraphInput, records: bool = False, engines: Path | None = None, **others: Any) -> Any:
    made = options(device=device, **{"sizes": (1, 2, 8), **others})
    return dict(provider_options(device, inputs, made, records=records, engines=engines))


def test_a_cpu_is_left_as_onnx_runtime_has_it() -> None:
    assert of(Device.CPU, PIXELS) == {"CPUExecutionProvider": {}}


def test_cuda_takes_what_a_few_sizes_need_and_no_more() -> None:
    assert of(Device.CUDA, PIXELS, records=True, device_memory=2**30) == {
        "CUDAExecutionProvider": {
            "arena_extend_strategy": "kSameAsRequested",
            "cudnn_conv_algo_search": "EXHAUSTIVE",
            "use_tf32": "1",
            "enable_cuda_graph": "1",
            "gpu_mem_limit": str(2**30),
        },
        "CPUExecutionProvider": {},
    }


def test_pictures_of_any_size_are_not_measured_one_by_one() -> None:
    assert of(Device.CUDA, FREE, tf32=False)["CUDAExecutionProvider"] == {
        "arena_extend_strategy": "kSameAsRequested",
        "cudnn_conv_algo_search": "HEURISTIC",
        "use_tf32": "0",
        "enable_cuda_graph": "0",
    }


def test_tensorrt_has_one_engine_for_all_sizes_and_cuda_behind_it(tmp_path: Path) -> None:
    made = of(Device.TENSORRT, PIXELS, SIZE, engines=tmp_path, fp16=True, device_memory=4096)

    assert list(made) == ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
    assert made["TensorrtExecutionProvider"] == {
        "trt_fp16_enable": "1",
        "trt_max_workspace_size": "4096",
        "trt_profile_min_shapes": "pixels:1x224x224x3,size:1x2",
        "trt_profile_opt_shapes": "pixels:8x224x224x3,size:8x2",
        "trt_profile_max_shapes": "pixels:8x224x224x3,size:8x2",
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": str(tmp_path),
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": str(tmp_path),
    }


@pytest.mark.parametrize(
    ("given", "sizes"), [(FIXED, (4,)), (FREE, (1, 2)), (PIXELS, ())], ids=["fixed", "any size", "not known"]
)
def test_tensorrt_is_told_no_profiles_where_there_is_nothing_to_tell(given: GraphInput, sizes: tuple[int, ...]) -> None:
    assert of(Device.TENSORRT, given, sizes=sizes)["TensorrtExecutionProvider"] == {"trt_fp16_enable": "0"}


def test_the_settings_reach_the_session() -> None:
    graph = StoredGraph(b"", Path("folder/model.onnx"), ())

    made = session_options(
        graph, Device.CPU, options(threads=lambda _: 3, optimization=Optimization.BASIC, arena=False)
    )

    assert made.intra_op_num_threads == 3
    assert made.graph_optimization_level == ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    assert (made.enable_cpu_mem_arena, made.enable_mem_pattern) == (False, False)
    assert made.get_session_config_entry("session.intra_op.allow_spinning") == "0"
    assert made.get_session_config_entry("session.model_external_initializers_file_folder_path") == "folder"
