from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from serving.contract import (
    CropResize,
    InputRules,
    Interpolation,
    LetterboxResize,
    ShortestEdgeResize,
    StretchResize,
    load_model_directory,
)
from serving.decoders import DECODERS, decoder_type
from serving.decoders.classification import ClassificationRules
from serving.errors import ContractInvalid

from .contract_defaults import RECORD, defaults
from .directories import SMALLEST, contract_with, write_directory


def refusal(directory: Path) -> str:
    with pytest.raises(ContractInvalid) as caught:
        load_model_directory(directory)
    return caught.value.message


def test_the_smallest_contract_stands_with_the_documented_defaults(tmp_path: Path) -> None:
    directory = load_model_directory(write_directory(tmp_path))

    rules = directory.contract.input
    assert rules.resize == StretchResize(rule="stretch", interpolation=Interpolation.BILINEAR)
    assert (rules.color, rules.layout, rules.datatype, rules.decode) == ("rgb", "NCHW", "FP32", "scaled")
    assert rules.normalize.scale == 1 / 255
    assert (directory.contract.model.file, directory.contract.model.version) == ("model.onnx", "1")
    assert directory.contract.output == ClassificationRules(decoder="logits", top_k=5, confidence_threshold=0)
    assert directory.contract.batching.max_batch_size == 32
    assert directory.labels == ()
    assert directory.model_path == tmp_path / "model.onnx"


@pytest.mark.parametrize(
    ("resize", "kind"),
    [
        ({"rule": "crop", "shorter_side": 6}, CropResize),
        ({"rule": "letterbox", "color": [0, 1, 255], "align": "top_left"}, LetterboxResize),
        ({"rule": "letterbox", "multiple": 2}, LetterboxResize),
        ({"rule": "stretch", "interpolation": "lanczos"}, StretchResize),
        ({"rule": "stretch", "interpolation": "opencv_area"}, StretchResize),
    ],
)
def test_each_rule_of_resizing_is_read(tmp_path: Path, resize: dict[str, Any], kind: type) -> None:
    directory = load_model_directory(write_directory(tmp_path, {"input.resize": resize}))

    assert isinstance(directory.contract.input.resize, kind)


SHORTEST_EDGE: dict[str, Any] = {"rule": "shortest_edge", "shorter_side": 800, "longer_side": 1333}
NO_SIZE: dict[str, Any] = {"input.height": None, "input.width": None}


def test_a_rule_that_follows_the_picture_is_read_without_height_and_width(tmp_path: Path) -> None:
    directory = load_model_directory(write_directory(tmp_path, {**NO_SIZE, "input.resize": SHORTEST_EDGE}))

    assert isinstance(directory.contract.input.resize, ShortestEdgeResize)
    assert (directory.contract.input.height, directory.contract.input.width) == (None, None)


@pytest.mark.parametrize(
    ("resize", "size", "largest", "follows"),
    [
        ({"rule": "stretch"}, (64, 96), (64, 96), False),
        ({"rule": "crop", "shorter_side": 128}, (64, 96), (64, 96), False),
        ({"rule": "letterbox"}, (64, 96), (64, 96), False),
        ({"rule": "letterbox", "multiple": 32}, (64, 96), (64, 96), True),
        (SHORTEST_EDGE, None, (800, 1333), True),
        ({**SHORTEST_EDGE, "multiple": 64}, None, (832, 1344), True),
    ],
)
def test_the_largest_size_is_known_by_every_rule(
    resize: dict[str, Any], size: tuple[int, int] | None, largest: tuple[int, int], *, follows: bool
) -> None:
    sides = {} if size is None else {"height": size[0], "width": size[1]}

    rules = InputRules.model_validate({"resize": resize, **sides})

    assert rules.largest_size == largest
    assert rules.follows_picture is follows


def test_the_scale_may_be_the_largest_value(tmp_path: Path) -> None:
    directory = load_model_directory(write_directory(tmp_path, {"input.normalize": {"scale": "max"}}))

    assert directory.contract.input.normalize.scale == "max"


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "another apiVersion": ({"apiVersion": "v2"}, "apiVersion is 'v2': input should be 'kserve-vision/v1'"),
    "no apiVersion": ({"apiVersion": None}, "apiVersion is missing"),
    "no task": ({"task": None}, "task is missing"),
    "no height": ({"input.height": None}, "input: height is missing, which the rule stretch needs"),
    "no size": (NO_SIZE, "input: height and width are missing, which the rule stretch needs"),
    "a size of a rule that finds its own": (
        {"input.resize": SHORTEST_EDGE},
        "input: height and width and the rule shortest_edge exclude each other",
    ),
    "a width of a rule that finds its own": (
        {"input.resize": SHORTEST_EDGE, "input.height": None},
        "input: width and the rule shortest_edge exclude each other, since it finds the size of each picture",
    ),
    "a longer side that is shorter": (
        {**NO_SIZE, "input.resize": {**SHORTEST_EDGE, "longer_side": 640}},
        "input.resize: longer_side is 640, smaller than shorter_side, 800: give at least 800",
    ),
    "a multiple of 0": (
        {"input.resize": {"rule": "letterbox", "multiple": 0}},
        "input.resize.multiple is 0: input should be greater than 0",
    ),
    "a largest box that is no multiple": (
        {"input.resize": {"rule": "letterbox", "multiple": 4}},
        ("input: height 4 and width 6 are the largest box, and must be multiples of resize.multiple, 4: give 4 and 8"),
    ),
    "a padding of a number": (
        {**NO_SIZE, "input.resize": {**SHORTEST_EDGE, "pad": 0}},
        "input.resize.pad is 0",
    ),
    "a height of 0": ({"input.height": 0}, "input.height is 0: input should be greater than 0"),
    "a width of text": ({"input.width": "wide"}, "input.width is 'wide'"),
    "no rule": ({"input.resize": {"interpolation": "box"}}, "input.resize.rule is missing: one of crop, letterbox"),
    "an unknown rule": ({"input.resize.rule": "squash"}, "'squash'"),
    "an unknown filter": ({"input.resize.interpolation": "cubic"}, "input.resize.interpolation is 'cubic'"),
    "a crop without its side": ({"input.resize": {"rule": "crop"}}, "input.resize.shorter_side is missing"),
    "a crop smaller than its cut": (
        {"input.resize": {"rule": "crop", "shorter_side": 5}},
        "resize.shorter_side is 5, smaller than the 4x6 that are cut from it: give at least 6",
    ),
    "a color over 255": (
        {"input.resize": {"rule": "letterbox", "color": [0, 0, 256]}},
        "input.resize.color.2 is 256: input should be less than or equal to 255",
    ),
    "a color of two": ({"input.resize": {"rule": "letterbox", "color": [0, 0]}}, "input.resize.color.2 is missing"),
    "an unknown color order": ({"input.color": "rbg"}, "input.color is 'rbg'"),
    "an unknown layout": ({"input.layout": "CHW"}, "input.layout is 'CHW'"),
    "an unknown datatype": ({"input.datatype": "FP64"}, "input.datatype is 'FP64'"),
    "an unknown decode mode": ({"input.decode": "fast"}, "input.decode is 'fast'"),
    "a mean of two": ({"input.normalize.mean": [0.5, 0.5]}, "input.normalize: mean has 2 numbers"),
    "a std of four": ({"input.normalize.std": [1, 1, 1, 1]}, "input.normalize: std has 4 numbers"),
    "a std with a 0": ({"input.normalize.std": [1.0, 0.0, 1.0]}, "std holds a 0"),
    "a mean that is no number": ({"input.normalize.mean": [float("nan")]}, "input.normalize.mean.0 is nan"),
    "a scale of 0": ({"input.normalize.scale": 0}, "input.normalize.scale is 0"),
    "a scale that is no number": (
        {"input.normalize.scale": "maximum"},
        "input.normalize.scale is 'maximum': a number is expected",
    ),
    "an endless scale": ({"input.normalize.scale": float("inf")}, "input.normalize.scale is inf"),
    "no decoder": ({"output.decoder": None}, "output.decoder is missing"),
    "a top_k of 0": ({"output.top_k": 0}, "output.top_k is 0"),
    "a threshold over 1": ({"output.confidence_threshold": 1.5}, "output.confidence_threshold is 1.5"),
    "a batch of 0": ({"batching.max_batch_size": 0}, "batching.max_batch_size is 0"),
    "a version that is a number": ({"model.version": 1}, "model.version is 1: input should be a valid string"),
    "a version that is a path": ({"model.version": "../2"}, "model.version is '../2'"),
    "a model file elsewhere": ({"model.file": "../model.onnx"}, "model.file is '../model.onnx'"),
    "a model file at the root": ({"model.file": "/etc/passwd"}, "model.file is '/etc/passwd'"),
    "labels elsewhere": ({"labels": "sub/labels.txt"}, "labels is 'sub/labels.txt'"),
    "labels elsewhere on Windows": ({"labels": "..\\labels.txt"}, "labels is"),
    "labels whose name holds a NUL": ({"labels": "a\0b"}, "labels is"),
    "a section that is a list": ({"output": ["logits"]}, "output is ['logits']: keys with values are expected"),
    "a section that is a switch": (
        {"task": "detection", "output": {"decoder": "yolov8", "nms": False}},
        "output.nms is False: keys with values are expected",
    ),
    "a choice that this decoder does not have": (
        {"task": "detection", "output": {"decoder": "detr", "activation": "none"}},
        "output.activation is 'none': input should be 'softmax' or 'sigmoid'",
    ),
    "a decoder that is spelled otherwise": (
        {"task": "detection", "output": {"decoder": "yolo8"}},
        "output: decoder is 'yolo8': did you mean yolov8? For detection, one of yolov5, ",
    ),
    "a threshold of a label, and no labels": (
        {"task": "detection", "output": {"decoder": "yolov8", "class_thresholds": {"cat": 0.5}}},
        "output.class_thresholds goes by labels, and the contract has none",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_told_with_its_key_and_what_would_be_right(tmp_path: Path, name: str) -> None:
    changes, expected = FAULTS[name]

    message = refusal(write_directory(tmp_path, changes))

    assert message.startswith(f"{tmp_path / 'model.yaml'}: ")
    assert expected in message


TYPOS: dict[str, tuple[dict[str, Any], str]] = {
    "at the top": ({"lables": "labels.txt"}, "lables is not a key of the contract: did you mean labels?"),
    "in a section": (
        {"input.normalise": {}},
        "input.normalise is not a key of the contract: did you mean normalize?",
    ),
    "behind a rule": (
        {"input.resize.interplation": "box"},
        "input.resize.interplation is not a key of the contract: did you mean interpolation?",
    ),
    "deep inside": (
        {"input.normalize": {"meen": [0.0]}},
        "input.normalize.meen is not a key of the contract: did you mean mean?",
    ),
    "like nothing": ({"xyzzy": 1}, "xyzzy is not a key of the contract"),
    "a rule where none stands": ({"crop": {}}, "crop is not a key of the contract"),
    "a number": ({"7": 1}, "7 is not a key of the contract"),
}


@pytest.mark.parametrize("name", TYPOS)
def test_a_typo_is_told_with_the_key_that_was_meant(tmp_path: Path, name: str) -> None:
    changes, expected = TYPOS[name]

    assert expected in refusal(write_directory(tmp_path, changes))


def test_all_faults_are_told_at_once_and_counted(tmp_path: Path) -> None:
    write_directory(tmp_path, {"task": None, "input.height": 0, "ouput": 1})

    with pytest.raises(ContractInvalid) as caught:
        load_model_directory(tmp_path)

    assert caught.value.details == {"faults": 3}
    assert all(part in caught.value.message for part in ("task is missing", "input.height is 0", "ouput is not"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: [1", "is not YAML"),
        ("a: 'open", "is not YAML"),
        ("a: b: c", "is not YAML"),
        ("\tindented: by a tab", "is not YAML"),
        ("model: {version: 2024-99-99}", "is not YAML"),
        ("x: " + "[" * 5000, "is not YAML"),
        ("!!python/object/apply:os.system ['true']", "is not YAML"),
        ("", "holds a NoneType where keys are expected, such as apiVersion: kserve-vision/v1"),
        ("- a\n- b", "holds a list where keys are expected"),
        ("just text", "holds a str where keys are expected"),
        ("7: seven", "7 is 7: keys should be strings"),
    ],
)
def test_a_file_that_is_no_mapping_in_yaml_is_refused(tmp_path: Path, text: str, expected: str) -> None:
    message = refusal(write_directory(tmp_path, text=text))

    assert str(tmp_path / "model.yaml") in message
    assert expected in message


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.yaml").write_bytes(b"\xff\xfe\x00\x81")

    assert "cannot be read" in refusal(tmp_path)


def test_a_directory_without_a_contract_is_told_with_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").touch()

    assert refusal(tmp_path).endswith("this one holds model.onnx")


def test_a_directory_that_is_not_there_is_told(tmp_path: Path) -> None:
    assert f"{tmp_path / 'nowhere'} is empty or no folder" in refusal(tmp_path / "nowhere")


def test_a_contract_that_is_a_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "model.yaml").mkdir()

    assert "cannot be read" in refusal(tmp_path)


def test_labels_are_read_in_order_with_blanks_around_them_cut(tmp_path: Path) -> None:
    directory = load_model_directory(write_directory(tmp_path, labels="\ufeffcat \r\n  dog\nKätzchen, klein\n\n \n"))

    assert directory.labels == ("cat", "dog", "Kätzchen, klein")


def test_labels_that_are_not_there_are_told_with_the_key(tmp_path: Path) -> None:
    message = refusal(write_directory(tmp_path, {"labels": "names.txt"}))

    assert message == f"{tmp_path / 'model.yaml'}: labels names names.txt, which does not exist"


def test_a_line_without_a_label_would_shift_the_classes_and_is_refused(tmp_path: Path) -> None:
    message = refusal(write_directory(tmp_path, labels="cat\n\ndog\n"))

    assert message.endswith("labels.txt has no label in line 2: each line is one class")


@pytest.mark.parametrize("content", [b"", b"\n \n\t\n"])
def test_labels_without_a_label_are_refused(tmp_path: Path, content: bytes) -> None:
    write_directory(tmp_path, labels="")
    (tmp_path / "labels.txt").write_bytes(content)

    assert "labels.txt is empty" in refusal(tmp_path)


def test_labels_that_are_no_text_are_refused(tmp_path: Path) -> None:
    write_directory(tmp_path, labels="")
    (tmp_path / "labels.txt").write_bytes(b"caf\xe9\n")

    assert "cannot be read as UTF-8 text" in refusal(tmp_path)


def digest(tmp_path: Path, changes: dict[str, Any] | None = None, labels: str = "cat\ndog\n") -> str:
    return load_model_directory(write_directory(tmp_path, changes, labels=labels)).digest


DEFAULTS_WRITTEN_DOWN: dict[str, Any] = {
    "model.file": "model.onnx",
    "model.version": "1",
    "input.decode": "scaled",
    "input.resize": {"interpolation": "bilinear", "rule": "stretch"},
    "input.color": "rgb",
    "input.normalize": {"std": [1, 1.0, 1], "mean": [0, 0, 0.0]},
    "input.layout": "NCHW",
    "input.datatype": "FP32",
    "output.top_k": 5,
    "batching": {"max_batch_size": 32},
}


@pytest.mark.parametrize("key", DEFAULTS_WRITTEN_DOWN)
def test_writing_a_default_down_leaves_the_digest(tmp_path: Path, key: str) -> None:
    assert digest(tmp_path, {key: DEFAULTS_WRITTEN_DOWN[key]}) == digest(tmp_path)


def test_all_defaults_and_another_place_and_order_leave_the_digest(tmp_path: Path) -> None:
    assert digest(tmp_path / "a", DEFAULTS_WRITTEN_DOWN) == digest(tmp_path / "b")
    text = "labels: labels.txt\n" + "\n".join(
        f"{key}: {value}" for key, value in reversed(SMALLEST.items())
    )  # a dict's text is YAML's flow form
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "labels.txt").write_text("cat\ndog")
    (tmp_path / "c" / "model.yaml").write_text("# a comment\n" + text)
    assert load_model_directory(tmp_path / "c").digest == digest(tmp_path / "b")


@pytest.mark.parametrize(
    "changes",
    [
        {"input.normalize.mean": [0.5, 0.5, 0.5]},
        {"input.normalize.scale": 1},
        {"input.normalize.scale": "max"},
        {"input.height": 5},
        {"input.resize": {"rule": "stretch", "interpolation": "nearest"}},
        {"input.color": "bgr"},
        {"input.decode": "exact"},
        {"output.decoder": "probabilities"},
        {"output.tensor": "logits"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_rule_that_changes_changes_the_digest(tmp_path: Path, changes: dict[str, Any]) -> None:
    assert digest(tmp_path, changes) != digest(tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"output.top_k": 3},
        {"output.confidence_threshold": 0.1},
        {"batching.max_batch_size": 4},
        {"model.version": "2"},
        {"model.description": "another"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_the_two_sides_need_not_agree_on_leaves_the_digest(tmp_path: Path, changes: dict[str, Any]) -> None:
    assert digest(tmp_path, changes) == digest(tmp_path)


@pytest.mark.parametrize("labels", ["cat\nfox\n", "dog\ncat\n", "cat\n", "catdog\n"])
def test_changed_labels_change_the_digest(tmp_path: Path, labels: str) -> None:
    assert digest(tmp_path, labels=labels) != digest(tmp_path)


def test_the_digest_is_a_sha256_in_hex(tmp_path: Path) -> None:
    value = digest(tmp_path)

    assert len(bytes.fromhex(value)) == 32


def test_a_contract_cannot_be_changed(tmp_path: Path) -> None:
    contract = load_model_directory(write_directory(tmp_path)).contract

    with pytest.raises(ValueError, match="frozen"):
        setattr(contract.input, "height", 9)  # noqa: B010  # the type checker sees it too


def test_the_changes_of_these_tests_do_not_reach_the_smallest_contract() -> None:
    contract_with({"input.height": 9})

    assert SMALLEST["input"]["height"] == 4


def test_a_key_of_another_rule_is_not_suggested_where_it_does_not_belong(tmp_path: Path) -> None:
    message = refusal(write_directory(tmp_path, {"input.resize": {"rule": "stretch", "shorter_side": 256}}))
    assert "input.resize.shorter_side is not a key of the contract; there are interpolation, rule" in message


def test_a_rule_that_nobody_knows_is_told_with_those_that_are_known(tmp_path: Path) -> None:
    message = refusal(write_directory(tmp_path, {"input.resize": {"rule": "squash"}}))
    assert "input.resize.rule is 'squash': one of crop, letterbox, stretch, shortest_edge is expected" in message


@pytest.mark.parametrize(("task", "name"), [(task, name) for task in DECODERS for name in DECODERS[task]])
def test_what_the_digest_leaves_out_of_a_decoders_rules_is_there(task: str, name: str) -> None:
    rules = decoder_type(task, name).rules_type

    assert rules.adjustable <= rules.model_fields.keys()


def test_a_default_changes_only_with_the_revision_in_the_digest() -> None:
    """Two releases with other defaults would read one `model.yaml` differently, and have the same digest of it."""
    recorded, now = json.loads(RECORD.read_text()), defaults()

    changed = [name for name, values in recorded["defaults"].items() if now["defaults"].get(name, values) != values]

    assert not changed or now["revision"] > recorded["revision"], f"raise REVISION: other defaults of {changed}"
    assert now == recorded, f"record the new state: python -m {defaults.__module__}"


def test_a_decoders_own_defaults_are_in_the_record() -> None:
    assert defaults()["defaults"]["detection, ssd"]["background"] == "first"
