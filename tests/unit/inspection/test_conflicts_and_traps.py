from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from inspection import Answers, Sure, inspect
from inspection.arithmetic import arithmetic_of
from inspection.graph import Step
from inspection.labels import labels_in_file, labels_in_text, labels_of
from inspection.licences import duty, spdx
from tests.unit.inspection.exports import COCO_NAMES, Export, Out, ultralytics
from tests.unit.inspection.families import FAMILIES, RTDETR, VIT

YOLO = FAMILIES["Ultralytics YOLOv8"].export


def traps(export: Export, folder: Path, answers: Answers | None = None) -> str:
    return "\n".join(inspect(export.write(folder), answers).traps)


def test_files_that_contradict_each_other_are_both_shown(tmp_path: Path) -> None:
    export = Export(
        [Out("logits", ("n", 3), ["Gemm"])],
        ("n", 3, 224, 224),
        "pixel_values",
        metadata={"Image.NominalPixelRange": "NominalRange_0_255"},
        beside={"preprocessor_config.json": VIT, "labels.txt": "a\nb\nc\n"},
    )
    found = inspect(export.write(tmp_path))
    (normalize,) = [each for each in found.conclusions if each.finding.key == "input.normalize"]
    assert normalize.finding.value == {"scale": 1.0}
    (other,) = normalize.conflicts
    assert other.source == "`image_mean` and `image_std` in preprocessor_config.json"
    assert "# not {mean: [0.5, 0.5, 0.5]" in found.texts(tmp_path)["model.yaml"]


def test_the_graph_has_the_last_word_on_its_size(tmp_path: Path) -> None:
    export = Export(
        [Out("logits", (1, 300, 5), ["MatMul"]), Out("pred_boxes", (1, 300, 4), ["Sigmoid"])],
        (1, 3, 512, 512),
        "pixel_values",
        beside={"preprocessor_config.json": RTDETR, "config.json": {"model_type": "rt_detr"}},
    )
    found = inspect(export.write(tmp_path))
    assert found.value("input.height") == 512
    (height,) = [each for each in found.conclusions if each.finding.key == "input.height"]
    assert [other.value for other in height.conflicts] == [640]


def test_what_the_user_says_outweighs_all(tmp_path: Path) -> None:
    found = inspect(YOLO.write(tmp_path), Answers(color="bgr", resize="stretch", license="MIT"))
    sures = {each.finding.key: each.finding.sure for each in found.conclusions}
    assert (found.value("input.color"), found.value("input.resize")) == ("bgr", {"rule": "stretch"})
    assert {sures["input.color"], sures["input.resize"], sures["model.license"]} == {Sure.GIVEN}


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("Ultralytics YOLOv8", "the licence is AGPL-3.0 (`license` in the file's metadata): who serves the model over"),
        ("Ultralytics YOLOv8", "the batch is fixed at 1: many requests are served all the same"),
        ("Ultralytics YOLOv8", "there is no NMS in the graph"),
        ("Ultralytics YOLOv8, FP16", "the input is FP16: a CPU runs such a graph slowly"),
        ("Ultralytics YOLOv8, FP16", "the outputs are FP16"),
        ("Ultralytics with nms=True, or YOLOv10", "there is no NMS, and such a model needs none"),
        ("Ultralytics RT-DETR", "there is no NMS, and such a model needs none"),
        ("RT-DETR, Hugging Face", "there is no NMS, and such a model needs none"),
        ("EfficientNMS", "boxes that overlap are thinned out in the graph"),
        ("Ultralytics YOLOv8-seg with nms=True, and YOLO26-seg", "boxes that overlap are thinned out in the graph"),
        ("Ultralytics RT-DETR from 8.4 on", "there is no NMS, and such a model needs none"),
        ("SegFormer, Hugging Face", "height and width are free in the graph"),
        ("YOLOv5", "no licence found; YOLOv5's is AGPL-3.0"),
        ("YOLOv5, with its heads", "of 3 outputs 2 are not used: '350', '416'"),
        ("YOLOv7 --grid", "no labels found: answers carry class ids in their place"),
        ("YOLOv7 --grid", "no licence found: make sure that you may serve the model"),
        (
            "Keras, which divides by itself",
            "the graph begins with a division by 255 and a shift: do not normalise once",
        ),
        ("torchvision classifier", "the order of colours is a guess"),
    ],
)
def test_a_trap_is_told(tmp_path: Path, name: str, sentence: str) -> None:
    assert sentence in traps(FAMILIES[name].export, tmp_path)


@pytest.mark.parametrize(("opset", "sentence"), [(9, "opset 9 is older than 11"), (6, "opset 6 is older than 7")])
def test_an_opset_that_is_too_old_is_told(tmp_path: Path, opset: int, sentence: str) -> None:
    assert sentence in traps(Export(YOLO.outputs, metadata=YOLO.metadata, opset=opset), tmp_path)


def test_an_export_with_nms_is_told_to_have_thresholds_of_its_own(tmp_path: Path) -> None:
    metadata = ultralytics("detect", COCO_NAMES, args={"nms": True})
    said = traps(Export([Out("output0", (1, 300, 6))], metadata=metadata), tmp_path)
    assert "exported with nms=True" in said
    assert "boxes that overlap are thinned out in the graph" in said


def test_nms_that_the_user_asks_for_is_told(tmp_path: Path) -> None:
    answers = Answers(output={"nms": {"iou_threshold": 0.7}})
    said = traps(FAMILIES["RT-DETR, Hugging Face"].export, tmp_path, answers)
    assert "thinned out by kserve-vision, as output.nms says" in said


def test_numbers_of_a_classifier_in_fp16_are_no_trap(tmp_path: Path) -> None:
    export = Export([Out("output", ("n", 1000), ["Gemm"], "FP16")], ("n", 3, 224, 224))
    assert "pixels above 1024" not in traps(export, tmp_path)


def test_a_text_recogniser_is_told_as_what_it_is(tmp_path: Path) -> None:
    export = Export(
        [Out("softmax_0.tmp_0", ("n", "t", 97), ["Softmax"])], ("n", 3, 48, 320), "x", metadata={"character": "a\nb\nc"}
    )
    assert "the alphabet of a text recogniser" in traps(export, tmp_path, Answers(task="raw", normalize="-1..1"))


def test_labels_of_another_number_are_not_used(tmp_path: Path) -> None:
    export = Export([Out("output", ("n", 1000), ["Gemm"])], ("n", 3, 224, 224), beside={"labels.txt": "cat\ndog\n"})
    found = inspect(export.write(tmp_path))
    assert found.labels is None
    assert found.traps[0].startswith("labels.txt beside the model: 2 labels, and the outputs have 1000 classes")


@pytest.mark.parametrize(
    ("classes", "labels"),
    [(3, ["background", "cat", "dog", "fish"]), (5, ["cat", "dog", "fish", "bird"])],
    ids=["a background too many", "a background too few"],
)
def test_the_backgrounds_label_is_brought_in_line(tmp_path: Path, classes: int, labels: list[str]) -> None:
    export = Export([Out("o", ("n", classes), ["Gemm"])], ("n", 3, 224, 224), beside={"labels.json": labels})
    found = inspect(export.write(tmp_path)).labels
    assert found is not None
    assert len(found.labels) == classes
    assert "background" in found.source


@pytest.mark.parametrize(
    ("value", "labels"),
    [
        (["cat", "dog"], {0: "cat", 1: "dog"}),
        ({"0": "cat", "1": "dog"}, {0: "cat", 1: "dog"}),
        ({1: "dog", 0: "cat"}, {0: "cat", 1: "dog"}),
        ({"cat": 0, "dog": 1}, {0: "cat", 1: "dog"}),
        ({"1": "cat", "17": "dog"}, {1: "cat", 17: "dog"}),
        ({"0": "LABEL_0", "1": "LABEL_1"}, None),
        (["class0", "class1"], None),
        (["a\nb", "c\t d"], {0: "a b", 1: "c d"}),
        ([["n01", "tench"], "x"], {0: "n01", 1: "x"}),
        ([], None),
        (["cat", ""], None),
        ({"-1": "cat"}, None),
        ("cat", None),
        ({"0": "cat", "00": "dog"}, None),
    ],
)
def test_labels_are_read_in_every_form(value: object, labels: dict[int, str] | None) -> None:
    assert labels_of(value) == labels


@pytest.mark.parametrize(
    ("name", "text", "labels"),
    [
        ("labels.txt", "cat\ndog\n", {0: "cat", 1: "dog"}),
        ("labels.txt", "0: cat\n1: dog\n", {0: "cat", 1: "dog"}),
        ("labels.txt", "1 cat\n3 dog\n", {1: "cat", 3: "dog"}),
        ("labels.txt", "\ufeffcat\r\ndog", {0: "cat", 1: "dog"}),
        (
            "labels.json",
            '{"0": ["n01440764", "tench"], "1": ["n01443537", "goldfish"]}',
            {0: "n01440764", 1: "n01443537"},
        ),
        ("id2label.json", '{"id2label": {"0": "cat", "1": "dog"}}', {0: "cat", 1: "dog"}),
        ("map.pbtxt", "item {\n id: 1\n name: 'cat'\n}\nitem {\n id: 2\n name: \"dog\"\n}", {1: "cat", 2: "dog"}),
        ("labels.txt", "", None),
        ("labels.json", "[1, 2", None),
    ],
)
def test_files_of_labels_are_read(tmp_path: Path, name: str, text: str, labels: dict[int, str] | None) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert labels_in_file(tmp_path / name) == labels


def test_labels_in_metadata_are_read_with_commas_or_lines() -> None:
    assert labels_in_text("cat,dog, fish") == {0: "cat", 1: "dog", 2: "fish"}
    assert labels_in_text("cat\ndog") == {0: "cat", 1: "dog"}
    assert labels_in_text("{0: 'cat', 1: 'dog'}") == {0: "cat", 1: "dog"}


@pytest.mark.parametrize(
    ("text", "identifier", "asks"),
    [
        ("AGPL-3.0 License (https://ultralytics.com/license)", "AGPL-3.0", "over a network"),
        ("GNU General Public License v3", "GPL-3.0", "pass on its source"),
        ("cc-by-nc-4.0", "CC-BY-NC-4.0", "forbids commercial use"),
        ("CC BY-NC-SA 4.0", "CC-BY-NC-SA-4.0", "forbids commercial use"),
        ("creativeml-openrail-m", "OpenRAIL", "forbids the uses"),
        ("apache-2.0", "Apache-2.0", ""),
        ("MIT License", "MIT", ""),
        ("bsd-3-clause", "BSD-3-Clause", ""),
        ("cc-by-4.0", "CC-BY-4.0", ""),
        ("lgpl-3.0", "LGPL-3.0", ""),
        ("Our own terms", "Our own terms", ""),
    ],
)
def test_licences_are_known_by_their_many_names(text: str, identifier: str, asks: str) -> None:
    assert spdx(text) == identifier
    assert asks in duty(identifier)
    assert bool(asks) == bool(duty(identifier))


def step(operator: str, *constants: object, first: bool = False) -> Step:
    return Step(operator, tuple(np.asarray(each, np.float32) for each in constants), first)


@pytest.mark.parametrize(
    ("steps", "takes_bytes"),
    [
        ([step("Div", 255.0)], True),
        ([step("Mul", 1 / 255)], True),
        ([step("Cast"), step("Transpose"), step("Mul", 1 / 127.5), step("Sub", 1.0)], True),
        ([step("Sub", [123.7, 116.3, 103.5]), step("Div", [58.4, 57.1, 57.4])], True),
        ([step("Mul", 1 / 255), step("Sub", [0.485, 0.456, 0.406]), step("Div", [0.229, 0.224, 0.225])], True),
        ([step("Mul", 2.0), step("Sub", 1.0)], False),
        ([step("Sub", [0.485, 0.456, 0.406]), step("Div", [0.229, 0.224, 0.225])], False),
        ([step("Sub", 1.0, first=True)], False),
    ],
)
def test_arithmetic_tells_what_pixels_a_graph_takes(steps: list[Step], *, takes_bytes: bool) -> None:
    found = arithmetic_of(steps)
    assert found is not None
    assert found.takes_bytes is takes_bytes


@pytest.mark.parametrize(
    "steps",
    [
        [step("Conv", np.ones((8, 3, 3, 3)))],
        [step("Div", 0.0)],
        [step("Mul", np.ones(7))],
        [step("Mul", 0.0)],
        [step("Div", 255.0, first=True)],
        [step("Add")],
        [step("Cast")],
        [],
    ],
)
def test_a_graph_without_arithmetic_has_none(steps: list[Step]) -> None:
    assert arithmetic_of(steps) is None


def test_the_neighbours_of_a_link_are_those_of_the_link(tmp_path: Path) -> None:
    """Hugging Face's cache holds files under their digests, and links under their names."""
    export = FAMILIES["ViT, Hugging Face"].export
    named = export.write(tmp_path / "snapshot")
    (tmp_path / "blobs").mkdir()
    blob = named.rename(tmp_path / "blobs" / "0a1b2c")
    named.symlink_to(blob)
    assert inspect(named).questions == ()
