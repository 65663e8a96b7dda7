from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from inspection import Answers, AnswerUnfit, Sure, inspect
from tests.unit.inspection.exports import COCO_NAMES, Export, Out, ultralytics
from tests.unit.inspection.families import FAMILIES

BARE = FAMILIES["torchvision classifier"].export
VECTOR = Export([Out("output", ("batch", 512), ["Gemm"])], ("batch", 3, 224, 224), "input")
EITHER = Export([Out("output", (1, 8400, 12), ["Concat", "Transpose"])])
FREE = Export([Out("output", ("batch", 1000), ["Gemm"])], ("batch", 3, "height", "width"), "input")


def test_a_classifier_that_says_nothing_of_its_pixels_is_asked_what_they_were(tmp_path: Path) -> None:
    (question,) = inspect(BARE.write(tmp_path)).questions
    assert question.key == "input.normalize"
    assert question.choices[0][0] == "--normalize imagenet"
    assert all(meaning for _, meaning in question.choices)


@pytest.mark.parametrize("choice", range(6))
def test_each_choice_settles_its_question(tmp_path: Path, choice: int) -> None:
    path = BARE.write(tmp_path)
    option = inspect(path).questions[0].choices[choice][0]
    found = inspect(path, Answers(normalize=option.removeprefix("--normalize ")))
    assert found.questions == ()
    assert {each.finding.sure for each in found.conclusions if each.finding.key == "input.normalize"} == {Sure.GIVEN}


def test_a_vector_that_may_be_classes_or_an_embedding_is_asked_about(tmp_path: Path) -> None:
    question = inspect(VECTOR.write(tmp_path)).questions[0]
    assert question.key == "task"
    assert [option for option, _ in question.choices] == [
        "--task classification",
        "--task embedding",
        "--labels FILE",
    ]


@pytest.mark.parametrize(
    ("task", "decoder"), [("classification", "logits"), ("embedding", "vector"), ("raw", "tensors")]
)
def test_the_task_that_is_said_counts(tmp_path: Path, task: str, decoder: str) -> None:
    contract = inspect(VECTOR.write(tmp_path), Answers(task=task)).contract()
    assert (contract["task"], contract["output"]["decoder"]) == (task, decoder)


def test_labels_tell_whether_rows_have_an_objectness(tmp_path: Path) -> None:
    path = EITHER.write(tmp_path)
    asked = inspect(path).questions[0]
    assert [option.split()[-1] for option, _ in asked.choices] == ["yolox", "yolov8", "FILE"]
    assert asked.choices[-1][1] == "the number of labels decides: 7 for yolox or 8 for yolov8"
    (tmp_path / "labels.txt").write_text("".join(f"thing {n}\n" for n in range(8)))
    assert inspect(path).contract()["output"] == {"decoder": "yolov8", "transposed": True}
    (tmp_path / "labels.txt").write_text("".join(f"thing {n}\n" for n in range(7)))
    assert inspect(path).contract()["output"] == {"decoder": "yolox"}


def test_columns_that_may_be_anything_are_asked_about(tmp_path: Path) -> None:
    found = inspect(Export([Out("output", (1, 197, 768), ["Relu"])], (1, 3, 224, 224)).write(tmp_path))
    assert [option for option, _ in found.questions[0].choices][:2] == ["--task detection", "--task raw"]


def test_a_decoder_that_is_said_counts(tmp_path: Path) -> None:
    found = inspect(EITHER.write(tmp_path), Answers(decoder="yolov5"))
    assert found.contract()["output"] == {"decoder": "yolov5"}
    assert "input.normalize" not in [question.key for question in found.questions]


def test_a_graph_of_any_size_is_asked_for_one(tmp_path: Path) -> None:
    found = inspect(FREE.write(tmp_path))
    assert [question.key for question in found.questions] == ["input.normalize", "input.height"]
    said = inspect(tmp_path / "exported.onnx", Answers(size=(192, 256), normalize="imagenet"))
    assert said.questions == ()
    assert (said.value("input.height"), said.value("input.width")) == (192, 256)
    assert said.value("input.resize") == {"rule": "crop", "shorter_side": 293}


def test_the_output_that_counts_can_be_said(tmp_path: Path) -> None:
    path = FAMILIES["torchvision DeepLabV3"].export.write(tmp_path)
    assert inspect(path, Answers(tensor="aux")).value("output") == {"decoder": "logits", "tensor": "aux"}


def test_a_preset_is_turned_for_blue_green_red(tmp_path: Path) -> None:
    found = inspect(BARE.write(tmp_path), Answers(normalize="imagenet", color="bgr"))
    assert found.value("input.normalize")["mean"] == (0.406, 0.456, 0.485)


def test_keys_of_the_output_can_be_said(tmp_path: Path) -> None:
    path = FAMILIES["YOLOv7 --grid"].export.write(tmp_path)
    assert inspect(path, Answers(output={"box_unit": "normalized"})).value("output") == {
        "decoder": "yolov5",
        "box_unit": "normalized",
    }


def test_caffes_preset_is_of_blue_green_red(tmp_path: Path) -> None:
    found = inspect(BARE.write(tmp_path), Answers(normalize="caffe"))
    assert found.value("input.color") == "bgr"
    assert found.value("input.normalize") == {"scale": 1.0, "mean": (103.939, 116.779, 123.68)}
    turned = inspect(tmp_path / "exported.onnx", Answers(normalize="caffe", color="rgb"))
    assert turned.value("input.normalize")["mean"] == (123.68, 116.779, 103.939)


@pytest.mark.parametrize(
    ("family", "keys"),
    [
        ("finished boxes of nobody that is known", ["box_unit", "first_class"]),
        ("a YOLOv8 that was turned", ["box_format"]),
        ("rows of another's NMS", ["score_first"]),
    ],
)
def test_what_outputs_do_not_tell_of_their_boxes_is_asked_and_can_be_said(
    tmp_path: Path, family: str, keys: list[str]
) -> None:
    path = FAMILIES[family].export.write(tmp_path)
    asked = inspect(path, Answers(normalize="0..1")).questions
    assert [question.key for question in asked] == [f"output.{key}" for key in keys]
    pairs = [question.choices[1][0].removeprefix("--set ").split("=") for question in asked]
    output = {key: yaml.safe_load(value) for key, value in pairs}
    said = inspect(path, Answers(normalize="0..1", output=output))
    assert said.questions == ()
    defaults = {"box_unit": "normalized", "first_class": 1}
    assert {key: said.value("output").get(key, defaults.get(key)) for key in keys} == output


@pytest.mark.parametrize(
    ("answers", "sentence"),
    [
        (Answers(task="clasification"), "--task is 'clasification': one of classification, detection"),
        (Answers(decoder="yolov4"), "--decoder is 'yolov4': one of logits, probabilities"),
        (Answers(decoder="logits"), "--decoder logits is of classification and of segmentation: say --task"),
        (Answers(tensor="nothing"), "--tensor is 'nothing'; the graph has the outputs 'output'"),
        (Answers(size=(640, 640)), "--size is 640x640; the graph takes 'input' FP32 [batch_size, 3, 224, 224]"),
        (Answers(normalize="imagnet"), "--normalize is 'imagnet': one of imagenet, 0..1"),
        (Answers(resize="pad"), "--resize is 'pad': one of letterbox, stretch, crop, shortest_edge"),
        (Answers(color="rgba"), "--color is 'rgba': rgb or bgr is expected"),
        (Answers(resize="shortest_edge"), "--resize shortest_edge needs a graph that takes any size"),
    ],
)
def test_an_answer_that_does_not_fit_is_refused_with_what_would(
    tmp_path: Path, answers: Answers, sentence: str
) -> None:
    export = Export([Out("output", ("batch_size", 1000), ["Gemm"])], ("batch_size", 3, 224, 224), "input")
    with pytest.raises(AnswerUnfit) as refused:
        inspect(export.write(tmp_path), answers)
    assert str(refused.value).startswith(sentence)


def test_labels_that_are_said_must_fit(tmp_path: Path) -> None:
    path = Export([Out("output0", (1, 84, 8400))], metadata=ultralytics("detect", COCO_NAMES)).write(tmp_path)
    labels = tmp_path / "mine.txt"
    labels.write_text("cat\ndog\n")
    with pytest.raises(AnswerUnfit, match=r"--labels mine.txt: 2 labels, and the outputs have 80 classes"):
        inspect(path, Answers(labels=labels))
    labels.write_text("")
    with pytest.raises(AnswerUnfit, match="holds no labels: one a line"):
        inspect(path, Answers(labels=labels))
