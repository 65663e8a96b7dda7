from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import helper

from predictor.batching import RunSize, run_rows
from predictor.engines.device import AUTO_ORDER, PROVIDERS, Device, candidates
from predictor.loading import Loaded, load
from serving.errors import ContractInvalid, InferenceFailed, ModelLoadFailed
from serving.v2 import Tensor, TensorSpec
from serving.v2.tensor import Array

from .graphs import HEIGHT, WIDTH, classifier, directory, identity, image_shape, model, real_pixels, settings, value

LABELS = "a\nb\nc\nd\ne\n"
CPU_ONLY = ("AzureExecutionProvider", "CPUExecutionProvider")


def run(loaded: Loaded, array: Array) -> Array:
    name = loaded.inputs[0].name
    (output,) = run_rows(loaded.lanes[0], loaded.run_size, [Tensor(name, array)], [loaded.outputs[0].name])
    return output.array


def test_a_directory_is_loaded_fused_and_tells_what_it_takes(tmp_path: Path) -> None:
    loaded = load(settings(directory(tmp_path, classifier(), LABELS)))

    assert loaded.inputs == (TensorSpec("pixels", "UINT8", (-1, HEIGHT, WIDTH, 3)),)
    assert loaded.outputs == (
        TensorSpec("top_scores", "FP32", (-1, 5)),
        TensorSpec("top_classes", "INT32", (-1, 5)),
        TensorSpec("finite", "BOOL", (-1, 1)),
    )
    assert loaded.run_size == RunSize((1, 2, 4, 8, 16, 32))


def test_fusing_can_be_switched_off(tmp_path: Path) -> None:
    loaded = load(settings(directory(tmp_path, classifier(), LABELS), fuse_input=False))

    assert loaded.inputs == (TensorSpec("images", "FP32", (-1, 3, HEIGHT, WIDTH)),)


def test_a_fixed_batch_is_told_as_any_number_of_rows(tmp_path: Path) -> None:
    loaded = load(settings(directory(tmp_path, classifier(batch=4, output_batch=4), LABELS)))

    assert loaded.inputs[0].shape[0] == loaded.outputs[0].shape[0] == -1
    assert loaded.run_size == RunSize((4,))


@pytest.mark.parametrize("free", [0, -1])
def test_axes_that_an_exporter_wrote_as_0_or_as_minus_1_are_free(tmp_path: Path, free: int) -> None:
    shape = [free, 3, free, free]
    node = helper.make_node("Identity", ["images"], ["numbers"])
    graph = model([node], [value("images", shape)], [value("numbers", shape)])

    loaded = load(settings(directory(tmp_path, graph, input__normalize={"scale": 1})))

    pixels = real_pixels(2)
    assert loaded.run_size.largest > 1
    assert np.array_equal(run(loaded, pixels), pixels.transpose(0, 3, 1, 2))


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5, 8, 9])
@pytest.mark.parametrize("batch", [1, 4, "n"])
def test_rows_are_cut_into_runs_and_joined_again(tmp_path: Path, batch: int | str, rows: int) -> None:
    folder = directory(tmp_path, classifier(batch=batch, output_batch=batch), batching__max_batch_size=3)
    pixels = real_pixels(rows)

    answers = run(load(settings(folder)), pixels)

    single = load(settings(directory(tmp_path / "single", classifier())))
    alone = np.concatenate([run(single, pixels[row : row + 1]) for row in range(rows)])
    assert answers.shape == (rows, 5)
    np.testing.assert_allclose(answers, alone, rtol=1e-5)


def test_rows_that_fill_a_fixed_batch_do_not_reach_the_answer(tmp_path: Path) -> None:
    loaded = load(settings(directory(tmp_path, identity(batch=4), input__normalize={"scale": 1})))
    pixels = real_pixels(6)

    assert np.array_equal(run(loaded, pixels), pixels.transpose(0, 3, 1, 2))


def test_several_inputs_and_outputs_are_cut_alike(tmp_path: Path) -> None:
    shape = image_shape("NCHW")
    nodes = [
        helper.make_node("Mul", ["images", "factor"], ["product"]),
        helper.make_node("Identity", ["factor"], ["same"]),
    ]
    factor = value("factor", ["n", 1, 1, 1])
    graph = model(nodes, [value("images", shape), factor], [value("product", shape), value("same", ["n", 1, 1, 1])])
    changes: dict[str, Any] = {"input__tensor": "images", "input__normalize": {"scale": 1}}
    loaded = load(settings(directory(tmp_path, graph, batching__max_batch_size=2, **changes)))
    factors = np.arange(5, dtype=np.float32).reshape(5, 1, 1, 1)
    pixels = real_pixels(5)

    inputs = [Tensor("pixels", pixels), Tensor("factor", factors)]
    same, product = run_rows(loaded.lanes[0], loaded.run_size, inputs, ["same", "product"])

    assert np.array_equal(same.array, factors)
    assert np.array_equal(product.array, pixels.transpose(0, 3, 1, 2) * factors)


def transposed() -> onnx.ModelProto:
    node = helper.make_node("Transpose", ["images"], ["y"], perm=[1, 0, 2, 3])
    return model([node], [value("images", image_shape("NCHW"))], [value("y", [3, "n", HEIGHT, WIDTH])])


def test_an_output_whose_first_axis_is_not_the_batch_is_found_while_warming_up(tmp_path: Path) -> None:
    with pytest.raises(ModelLoadFailed, match="its first axis is not the batch"):
        load(settings(directory(tmp_path, transposed())))


def test_a_run_that_onnx_runtime_refuses_has_failed(tmp_path: Path) -> None:
    loaded = load(settings(directory(tmp_path, identity())))

    with pytest.raises(InferenceFailed, match="ONNX Runtime failed on this request"):
        loaded.lanes[0].run([Tensor("pixels", np.zeros((1, 2, 2, 3), np.uint8))], ["numbers"])


def test_a_graph_that_fails_on_a_full_batch_is_found_while_warming_up(tmp_path: Path) -> None:
    node = helper.make_node("Reshape", ["images", "one"], ["y"])
    size = 3 * HEIGHT * WIDTH
    graph = model(
        [node], [value("images", image_shape("NCHW"))], [value("y", [1, size])], one=np.array([1, size], np.int64)
    )

    with pytest.raises(ModelLoadFailed, match=r"fails on 2 rows.*max_batch_size: 1"):
        load(settings(directory(tmp_path, graph)))


def test_labels_are_counted_against_the_graphs_classes(tmp_path: Path) -> None:
    with pytest.raises(ContractInvalid, match=r"the contract has 2 labels; the graph's output has 5 classes"):
        load(settings(directory(tmp_path, classifier(), "a\nb\n")))


def save_apart(tmp_path: Path) -> Path:
    folder = directory(tmp_path, None, LABELS)
    onnx.save_model(
        classifier(), folder / "model.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0
    )
    return folder


@pytest.mark.parametrize("fuse", [True, False])
def test_weights_in_a_file_of_their_own_are_read_from_a_directory_that_cannot_be_written(
    tmp_path: Path, *, fuse: bool
) -> None:
    folder = save_apart(tmp_path / "apart")
    together = load(settings(directory(tmp_path / "together", classifier(), LABELS)))
    before = sorted(folder.iterdir())
    folder.chmod(0o555)
    try:
        loaded = load(settings(folder, fuse_input=fuse))
        pixels = real_pixels(2)
        array = pixels if fuse else (pixels.transpose(0, 3, 1, 2) * np.float32(1 / 255))
        assert np.array_equal(run(loaded, array), run(together, pixels))
        assert sorted(folder.iterdir()) == before
    finally:
        folder.chmod(0o755)


def test_weights_that_are_not_there_are_told(tmp_path: Path) -> None:
    folder = save_apart(tmp_path)
    (folder / "weights.bin").unlink()

    with pytest.raises(ModelLoadFailed, match=r"weights\.bin"):
        load(settings(folder))


def test_weights_that_are_cut_off_are_told(tmp_path: Path) -> None:
    folder = save_apart(tmp_path)
    (folder / "weights.bin").write_bytes(b"\0" * 8)

    with pytest.raises(ModelLoadFailed):
        load(settings(folder))


@pytest.mark.parametrize("share", [number / 24 for number in range(24)])
def test_wherever_a_file_is_cut_off_loading_fails_and_nothing_else(tmp_path: Path, share: float) -> None:
    whole = classifier().SerializeToString()

    with pytest.raises(ModelLoadFailed):
        load(settings(directory(tmp_path, whole[: int(len(whole) * share)], LABELS)))


def test_auto_takes_the_first_device_that_is_there(tmp_path: Path) -> None:
    loaded = load(settings(directory(tmp_path, classifier())))

    available = ort.get_available_providers()
    assert loaded.engine.device is next(device for device in AUTO_ORDER if PROVIDERS[device][0] in available)


@pytest.mark.skipif("CUDAExecutionProvider" in ort.get_available_providers(), reason="this ONNX Runtime has CUDA")
def test_auto_without_a_gpu_is_the_cpu(tmp_path: Path) -> None:
    assert load(settings(directory(tmp_path, classifier()))).engine.device is Device.CPU


@pytest.mark.skipif("CUDAExecutionProvider" in ort.get_available_providers(), reason="this ONNX Runtime has CUDA")
def test_a_named_device_that_is_not_installed_is_told_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(ModelLoadFailed) as caught:
        load(settings(directory(tmp_path, classifier()), device=Device.CUDA))

    assert "DEVICE=cuda needs CUDAExecutionProvider" in caught.value.message
    assert ", ".join(ort.get_available_providers()) in caught.value.message
    assert "DEVICE=auto" in caught.value.message


def test_auto_prefers_cuda_and_leaves_tensorrt_alone() -> None:
    available = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]

    assert candidates(Device.AUTO, available) == (Device.CUDA, Device.CPU)
    assert candidates(Device.AUTO, CPU_ONLY) == (Device.CPU,)


@pytest.mark.parametrize("device", [device for device in Device if device is not Device.AUTO])
def test_a_named_device_is_taken_or_refused(device: Device) -> None:
    assert candidates(device, PROVIDERS[device]) == (device,)
    if device is not Device.CPU:
        with pytest.raises(ModelLoadFailed, match=f"DEVICE={device} needs"):
            candidates(device, CPU_ONLY)
