from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from onnx import helper

from predictor.engines import SessionOptions, open_engine, open_session, store
from predictor.engines import onnxruntime as module
from predictor.engines.cuda import Gpu
from predictor.engines.device import Device
from predictor.engines.memory import DeviceMemory
from predictor.engines.onnxruntime import SessionOpener, load_cuda
from serving.contract import Precision, Runtime
from serving.errors import ModelLoadFailed
from serving.v2 import Tensor
from tests.unit.predictor.graphs import classifier, model, value

from .sessions import NOWHERE, engine_of, network, options, rows

GPU_HERE = "CUDAExecutionProvider" in ort.get_available_providers()
without_gpu = pytest.mark.skipif(GPU_HERE, reason="this ONNX Runtime has CUDA")


def no_library(name: str) -> Any:
    raise OSError(f"{name}: cannot open shared object file")


def test_without_a_driver_a_gpu_is_refused_with_what_to_ask_for() -> None:
    with pytest.raises(ModelLoadFailed, match=r"no NVIDIA driver here \(libcuda.so.1.*nvidia.com/gpu: 1"):
        load_cuda(no_library)


@pytest.fixture
def built_for_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """An ONNX Runtime that was built with all providers, on a machine without a driver."""
    everything = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(ort, "get_available_providers", lambda: everything)
    monkeypatch.setattr(module, "load_cuda", lambda: load_cuda(no_library))


@pytest.mark.usefixtures("built_for_gpus")
def test_auto_goes_on_with_the_cpu_and_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    engine = engine_of(network(), device=Device.AUTO)

    assert engine.device is Device.CPU
    said = "".join(capsys.readouterr())
    assert "device failed" in said
    assert "no NVIDIA driver" in said


@pytest.mark.usefixtures("built_for_gpus")
@pytest.mark.parametrize("device", [Device.CUDA, Device.TENSORRT])
def test_a_named_gpu_that_is_not_there_is_refused(device: Device) -> None:
    with pytest.raises(ModelLoadFailed, match="no NVIDIA driver"):
        engine_of(network(), device=device)


@without_gpu
@pytest.mark.filterwarnings("ignore:Specified provider")
def test_a_provider_that_onnx_runtime_drops_in_silence_is_told() -> None:
    with (
        store(network(), NOWHERE) as stored,
        pytest.raises(ModelLoadFailed, match="OpenVINOExecutionProvider could not be set up for DEVICE=openvino"),
    ):
        SessionOpener(stored, Device.OPENVINO, options()).open(records=False)


def test_the_cpus_lanes_share_one_session() -> None:
    engine = engine_of(classifier())

    one, other = engine.open_lane(), engine.open_lane()

    assert vars(one)["_session"] is vars(other)["_session"]


class GpuSessions:
    """What a GPU's sessions are made with; they are made on the CPU."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        self.made: list[dict[str, dict[str, str]]] = []
        self.refuse: Any = lambda _options: None
        self.cache = tmp_path
        self._real = ort.InferenceSession
        providers = ["TensorrtExecutionProvider", "CUDAExecutionProvider"]
        monkeypatch.setattr(ort, "InferenceSession", self.make)
        monkeypatch.setattr(ort, "get_available_providers", lambda: providers)
        monkeypatch.setattr(module, "load_cuda", lambda: None)
        monkeypatch.setattr(module, "find_gpu", lambda: Gpu("NVIDIA H200", "9.0", "13000", "101303"))
        monkeypatch.setattr(module, "_cuda_memory", lambda: DeviceMemory("cpu"))

    def make(self, source: Any, sess_options: Any, providers: Any, enable_fallback: int) -> Any:
        assert enable_fallback == 0
        self.made.append(dict(providers))
        if reason := self.refuse(dict(providers)):
            raise RuntimeError(reason)
        engines = dict(providers).get("TensorrtExecutionProvider", {}).get("trt_engine_cache_path")
        if engines:
            (Path(engines) / "graph_sm90.engine").write_bytes(b"engine")
        session = self._real(source, sess_options, providers=["CPUExecutionProvider"], enable_fallback=0)
        session.get_providers = lambda: list(dict(providers))
        return session

    def open(self, device: Device, lanes: int = 2, **others: Any) -> None:
        """Do what loading does, and see that all lanes give the same."""
        with store(network(), NOWHERE) as stored:
            made = SessionOptions(device, lambda _: 1, (1, 2), cache=self.cache, **others)
            engine = open_session(stored, made)
            opened = [engine.open_lane() for _ in range(lanes)]
            for lane in opened:
                for size in (1, 2):
                    lane.prepare(rows(size), ["scores"])
                lane.trim(rows(1), ["scores"])
            engine.settle()
        answers = [lane.run(rows(2), ["scores"])[0].array for lane in opened]
        assert all(np.array_equal(answer, answers[0]) for answer in answers)

    def given(self, provider: str, option: str) -> list[str | None]:
        return [made[provider].get(option) for made in self.made]


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> GpuSessions:
    return GpuSessions(monkeypatch, tmp_path)


def test_lanes_that_record_have_a_session_each(gpu: GpuSessions) -> None:
    gpu.open(Device.CUDA, cuda_graphs=True)

    assert gpu.given("CUDAExecutionProvider", "enable_cuda_graph") == ["1", "1"]


def test_lanes_that_record_nothing_share_a_session(gpu: GpuSessions) -> None:
    gpu.open(Device.CUDA)

    assert gpu.given("CUDAExecutionProvider", "enable_cuda_graph") == ["0"]


def test_a_graph_that_cannot_be_recorded_runs_without(gpu: GpuSessions) -> None:
    reason = "This session cannot use the graph capture feature as requested by the user"
    gpu.refuse = lambda made: reason if made["CUDAExecutionProvider"]["enable_cuda_graph"] == "1" else None

    gpu.open(Device.CUDA, cuda_graphs=True)

    assert gpu.given("CUDAExecutionProvider", "enable_cuda_graph") == ["1", "0"]


def test_tensorrts_engines_are_built_once_and_found_by_the_next_process(gpu: GpuSessions) -> None:
    gpu.open(Device.TENSORRT)
    (building, same) = gpu.given("TensorrtExecutionProvider", "trt_engine_cache_path")
    gpu.made.clear()
    gpu.open(Device.TENSORRT)

    kept = set(gpu.given("TensorrtExecutionProvider", "trt_engine_cache_path"))
    assert building == same
    assert kept.isdisjoint({building})
    assert len(kept) == 1


def test_an_engine_that_tensorrt_refuses_is_dropped_and_built_anew(
    gpu: GpuSessions, capsys: pytest.CaptureFixture[str]
) -> None:
    gpu.open(Device.TENSORRT, lanes=1)
    (folder,) = (path for path in (gpu.cache / "tensorrt").iterdir() if not path.name.startswith("timings"))
    gpu.made.clear()
    reason = "TensorRT EP could not deserialize engine from cache"
    gpu.refuse = lambda made: (
        reason if made["TensorrtExecutionProvider"]["trt_engine_cache_path"] == str(folder) else None
    )

    gpu.open(Device.TENSORRT, lanes=1)

    assert len(gpu.made) == 2
    assert "engine cache dropped" in "".join(capsys.readouterr())
    assert (folder / "graph_sm90.engine").exists()


def test_a_graph_that_is_cut_into_parts_does_without_profiles(gpu: GpuSessions) -> None:
    reason = "User needs to provide all the dynamic shape inputs with associated profiles"
    gpu.refuse = lambda made: reason if "trt_profile_min_shapes" in made["TensorrtExecutionProvider"] else None

    gpu.open(Device.TENSORRT, lanes=1)

    assert gpu.given("TensorrtExecutionProvider", "trt_profile_min_shapes")[-1] is None


def test_a_graph_that_tensorrt_refuses_either_way_is_told_with_its_reason(gpu: GpuSessions) -> None:
    gpu.refuse = lambda _: "no such operator"

    with pytest.raises(ModelLoadFailed, match=r"cannot load model\.onnx: no such operator"):
        gpu.open(Device.TENSORRT)


def test_half_precision_is_for_tensorrt(gpu: GpuSessions) -> None:
    half = Runtime(precision=Precision.FP16)
    with store(network(), NOWHERE) as stored:
        open_engine(stored, half, options(device=Device.TENSORRT), lambda _: 1)
        with pytest.raises(ModelLoadFailed, match="fp16 for DEVICE=tensorrt"):
            open_engine(stored, half, options(device=Device.CUDA), lambda _: 1)

    assert gpu.given("TensorrtExecutionProvider", "trt_fp16_enable") == ["1"]


def resident() -> int:
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssAnon"))
    return int(line.split()[1]) * 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells how much memory is held")
def test_memory_of_a_size_that_is_not_used_is_given_back() -> None:
    node = helper.make_node("Add", ["x", "x"], ["wide"])
    graph = model([node, helper.make_node("Abs", ["wide"], ["y"])], [value("x", ["n"])], [value("y", ["n"])])
    lane = engine_of(graph).open_lane()
    one = [Tensor("x", np.ones(1, np.float32))]
    lane.run(one, ["y"])  # ONNX Runtime keeps what it asked for first
    lane.run([Tensor("x", np.ones(2**25, np.float32))], ["y"])
    before = resident()

    lane.trim(one, ["y"])

    assert before - resident() > 2**26


@pytest.mark.parametrize("arena", [True, False])
def test_a_session_without_anything_to_give_back_gives_nothing(*, arena: bool) -> None:
    lane = engine_of(network(), arena=arena).open_lane()

    lane.trim(rows(1), ["scores"])

    assert lane.run(rows(1), ["scores"])[0].shape == (1, 32)
