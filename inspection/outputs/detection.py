"""Recognising detectors: by the names of their outputs, their shapes, and the number of boxes that their grids have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from inspection.evidence import Sure
from inspection.graph import Value
from inspection.outputs.grids import cells
from inspection.outputs.one_output import OneOutput
from inspection.outputs.reading import Reading, Scene
from inspection.picture_input import SCALE_FACTOR
from serving.decoders.class_scores import is_background

_BOX: Final = 4
_FEW: Final = 1000
"""Boxes up to which a graph has chosen, or has queries; grids and anchors have thousands."""
_ROWS_OF_BATCH: Final = 7
_ROW_OF_PADDLE: Final = 6
_COCO: Final = (80, 90, 91)


_EFFICIENT_NMS: Final = {"num_dets", "det_boxes", "det_scores", "det_classes"}
_FOUR: Final[Mapping[str, str]] = {
    "boxes": "boxes",
    "scores": "scores",
    "classes": "classes",
    "num_detections": "num_predictions",
}
"""How the names of super-gradients' batch format end (`graph2_pred_boxes`)."""
_CUSTOM_VISION: Final = {"detected_boxes", "detected_classes", "detected_scores"}
_ONNX_ZOO_SSD: Final = {"bboxes", "labels", "scores"}
_CLASS_FIRST: Final = "output"
"""How YOLOv7 and YOLOv6 call the rows of all pictures, whose class stands before the score."""
_UNDECODED: Final = ("loc", "regress", "delta", "offset", "anchor")
"""Words in the names of boxes that are still measured from anchors."""


def is_undecoded(scene: Scene) -> bool:
    """Whether boxes are named as what must still be decoded with anchors that the file does not hold."""
    boxes = [value.name.lower() for value in scene.of_rank(3) if value.size(2) == _BOX]
    return len(scene.outputs) > 1 and any(word in name for name in boxes for word in _UNDECODED)


def read(scene: Scene) -> Iterator[Reading]:
    """Tell the ways to read the outputs as boxes."""
    if is_undecoded(scene):
        return
    for recognise in (_of_paddle, _by_names, _queries_or_anchors, _rows_of_all_pictures):
        found = list(recognise(scene))
        if found:
            yield from found
            return
    for value in scene.of_rank(3):
        yield from OneOutput(scene, value).readings()


def _of_paddle(scene: Scene) -> Iterator[Reading]:
    """PaddleDetection's boxes, with its NMS or without, divided by what its `scale_factor` is fed."""
    is_divided = any(value.name == SCALE_FACTOR for value in scene.graph.inputs)
    if not is_divided and not scene.is_of_paddle:
        return
    unit: dict[str, Any] = {"box_unit": "normalized"} if is_divided else {}
    for value in scene.of_rank(2):
        if value.size(1) == _ROW_OF_PADDLE and value.datatype.startswith("FP"):
            said = f"the output {value}: class, score, box, as PaddleDetection's NMS"
            output = {**scene.tensor(value), **unit}
            yield Reading(
                "detection", "paddle_detection", Sure.DERIVED, said, output, None, (value.name,), family="paddle"
            )
            return
    boxes = [value for value in scene.of_rank(3) if value.size(2) == _BOX]
    scores = [value for value in scene.of_rank(3) if value not in boxes and _is_turned(value, boxes)]
    if is_divided and len(boxes) == len(scores) == 1:
        said = f"the outputs {boxes[0]} and {scores[0]}, which are PaddleDetection's before its NMS"
        output = _others({"boxes": boxes[0].name, "scores": scores[0].name})
        output |= {"transposed": True, "background": "none", "box_format": "corners"}
        used = (boxes[0].name, scores[0].name)
        yield Reading("detection", "ssd", Sure.DERIVED, said, output, scores[0].size(1), used, family="paddle")


def _is_turned(value: Value, boxes: list[Value]) -> bool:
    """Whether scores are [n, classes, N], for boxes [n, N, 4]."""
    return len(boxes) == 1 and boxes[0].size(1) is not None and boxes[0].size(1) == value.size(2)


def _rows_of_all_pictures(scene: Scene) -> Iterator[Reading]:
    """Rows without a batch axis: there is a NonMaxSuppression, or the batch is fixed and the rows are not."""
    ragged = scene.graph.inputs[0].size(0) is not None or "NonMaxSuppression" in scene.graph.operators
    for value in scene.of_rank(2):
        if value.size(1) != _ROWS_OF_BATCH or value.size(0) is not None or not ragged:
            continue
        output = scene.tensor(value)
        asks: tuple[str, ...] = ()
        said = f"the output {value}: picture, box, class, score; NMS inside"
        if "flat_predictions" in value.name:
            said = f"the output {value}: picture, box, score, class, as super-gradients' flat format"
            output["score_first"] = True
        elif not value.name.startswith(_CLASS_FIRST):
            asks = ("score_first",)
        yield Reading("detection", "yolov7_end2end", Sure.DERIVED, said, output, None, (value.name,), asks=asks)


def _by_names(scene: Scene) -> Iterator[Reading]:
    names = {value.name: value for value in scene.outputs}
    by_last = {name.rsplit("/", 1)[-1].split(":")[0]: name for name in names}
    api = {part: by_last.get(f"detection_{part}") for part in ("boxes", "scores", "classes")}
    if all(api.values()):
        found: dict[str, Any] = {part: name for part, name in api.items() if name != f"detection_{part}"}
        count = by_last.get("num_detections")
        if count != "num_detections":
            found["num_detections"] = count
        yield Reading(
            "detection", "tensorflow", Sure.DERIVED, "the outputs' names, which are TensorFlow's detection API's",
            found | _first_class(scene), used=tuple(name for name in (*api.values(), count) if name),
        )  # fmt: skip
        return
    if by_last.keys() >= _EFFICIENT_NMS:
        parts = {"boxes": "det_boxes", "scores": "det_scores", "classes": "det_classes", "num_detections": "num_dets"}
        more = {"box_format": "corners", "box_unit": "pixels", "first_class": 0}
        said = "the outputs' names, which are those of EfficientNMS"
        yield Reading("detection", "tensorflow", Sure.DERIVED, said, parts | more, used=tuple(parts.values()))
        return
    four = _in_four(scene)
    if four is not None:
        yield four
        return
    chosen = [v for v in scene.outputs if v.datatype in ("INT64", "INT32") and v.rank in (2, 3) and v.size(-1) == 3]  # noqa: PLR2004  # picture, class, box
    boxes = [v for v in scene.of_rank(3) if v.size(2) == _BOX]
    if chosen and boxes:
        scores = [v for v in scene.of_rank(3) if v is not boxes[0] and v is not chosen[0]]
        if scores:
            parts = {"boxes": boxes[0].name, "scores": scores[0].name, "selected_indices": chosen[0].name}
            yield Reading(
                "detection", "onnx_nms", Sure.DERIVED, f"the output {chosen[0]}, as NonMaxSuppression gives it",
                _others(parts), scores[0].size(1), tuple(parts.values()),
            )  # fmt: skip
        return
    yield from _chosen(scene)


def _in_four(scene: Scene) -> Reading | None:
    """Return boxes, scores, classes and their number by super-gradients' names."""
    by_end = {part: [v.name for v in scene.outputs if v.name.endswith(end)] for part, end in _FOUR.items()}
    if any(len(names) != 1 for names in by_end.values()):
        return None
    parts = {part: names[0] for part, names in by_end.items()}
    more = {"box_format": "corners", "box_unit": "pixels", "first_class": 0}
    said = "the outputs' names, which are those of super-gradients' batch format"
    return Reading(
        "detection", "tensorflow", Sure.DERIVED, said, parts | more, used=tuple(parts.values()), family="yolo_nas"
    )


def _chosen(scene: Scene) -> Iterator[Reading]:
    """Boxes, labels and scores that the graph has chosen."""
    yield from _of_mmdeploy(scene)
    if len(scene.outputs) < 3:  # noqa: PLR2004
        return
    for rank in (3, 2):
        boxes = [v for v in scene.of_rank(rank) if v.size(-1) == _BOX or (v.size(-1) is None and v.name == "boxes")]
        flat = [v for v in scene.of_rank(rank - 1) if v not in boxes]
        labels = [v for v in flat if v.datatype in ("INT64", "INT32") or v.name.endswith("labels")]
        scores = [v for v in flat if v not in labels and v.datatype.startswith("FP")]
        if len(boxes) == len(labels) == len(scores) == 1:
            parts = {"labels": labels[0].name, "boxes": boxes[0].name, "scores": scores[0].name}
            said = "; ".join(str(value) for value in (*boxes, *labels, *scores))
            yield _ragged(scene, parts, said) if rank == 2 else _rectangular(scene, parts, said)  # noqa: PLR2004
            return


def _ragged(scene: Scene, parts: Mapping[str, str], said: str) -> Reading:
    """Without a batch axis they are torchvision's."""
    return Reading(
        "detection", "torchvision", Sure.DERIVED, f"the outputs {said}, which are torchvision's",
        _others(parts) | _first_class(scene), used=tuple(parts.values()),
    )  # fmt: skip


def _rectangular(scene: Scene, parts: Mapping[str, str], said: str) -> Reading:
    """With a batch axis, a second input for the size proves RT-DETR's and D-FINE's; names tell others."""
    used, names = tuple(parts.values()), set(parts.values())
    if len(scene.graph.inputs) > 1:
        said = f"the outputs {said}, which are RT-DETR's and D-FINE's"
        return Reading("detection", "rtdetr", Sure.DERIVED, said, _others(parts), used=used)
    finished: dict[str, Any] = {
        "boxes": parts["boxes"], "scores": parts["scores"], "classes": parts["labels"], "num_detections": None,
        "box_format": "corners",
    }  # fmt: skip
    if names == _CUSTOM_VISION:
        said = f"the outputs {said}, which are Azure Custom Vision's"
        return Reading("detection", "tensorflow", Sure.DERIVED, said, finished | {"first_class": 0}, used=used)
    if names == _ONNX_ZOO_SSD:
        said = f"the outputs {said}, which are those of SSD in ONNX's model zoo"
        return Reading(
            "detection", "tensorflow", Sure.DERIVED, said, finished | _first_class(scene), used=used,
            family="onnx_zoo_ssd",
        )  # fmt: skip
    return Reading(
        "detection", "tensorflow", Sure.DERIVED, f"the outputs {said}",
        finished | {"box_unit": "pixels", "first_class": 0}, used=used, asks=("box_unit", "first_class"),
        family="finished",
    )  # fmt: skip


def _of_mmdeploy(scene: Scene) -> Iterator[Reading]:
    by_name = {value.name: value for value in scene.outputs}
    boxes, labels = by_name.get("dets"), by_name.get("labels")
    if len(by_name) == 2 and boxes is not None and labels is not None and boxes.size(2) == _BOX + 1:  # noqa: PLR2004
        said = f"the outputs {boxes} and {labels}, which are MMDeploy's"
        yield Reading("detection", "mmdeploy", Sure.DERIVED, said, used=("dets", "labels"))


def _first_class(scene: Scene) -> dict[str, Any]:
    """Return the key for labels that go by the graph's own numbers, the background's included."""
    labels = scene.dossier.label_set
    if labels is None:
        return {}
    return {"first_class": 0} if is_background(labels.labels.get(0, "")) else {}


def _queries_or_anchors(scene: Scene) -> Iterator[Reading]:
    """Boxes in one output, and a column for each class in another."""
    boxes = [v for v in scene.outputs if v.size(-1) == _BOX and (v.rank == 3 or (v.rank == 4 and v.size(2) == 1))]  # noqa: PLR2004
    if not boxes:
        return
    box = next((v for v in boxes if "box" in v.name.lower()), boxes[0])
    others = [
        v for v in scene.of_rank(3) if v is not box and (v.size(1) == box.size(1) or None in (v.size(1), box.size(1)))
    ]
    if not others:
        return
    score = next(
        (v for v in others if any(w in v.name.lower() for w in ("logit", "score", "conf", "class"))), others[0]
    )
    parts = {"boxes": box.name, "scores": score.name}
    columns = score.size(2)
    number = box.size(1)
    tail = scene.graph.tail(score.name)[:1]
    is_score = tail in (("Sigmoid",), ("Softmax",))
    queries = "logit" in score.name.lower() or (number is not None and number <= _FEW and not is_score)
    said = f"the outputs {box} and {score}"
    if queries:
        yield _detr(scene, box, score, said)
        return
    background = _background(scene, columns, tail)
    output: dict[str, Any] = _others(parts)
    if background != "first":
        output["background"] = background
    if not is_score:
        output["activation"] = "softmax" if background != "none" else "sigmoid"
    sure = Sure.GUESSED if "box" in box.name.lower() else Sure.OPEN
    if number is not None and number <= _FEW:
        output["box_format"] = "center"
    if number in cells(scene.size):  # anchor-free, as YOLO-NAS and PaddleDetection, whose boxes are in pixels
        output["box_unit"] = "pixels"
        said += ", one box for each cell"
        sure = Sure.GUESSED
    if box.rank == 4:  # noqa: PLR2004  # [n, N, 1, 4], as pytorch-YOLOv4's
        sure = Sure.DERIVED
        output |= {"box_format": "corners", "background": "none"}
        output.pop("activation", None)
        background = "none"
    elif "tf2onnx" not in scene.graph.producer:
        output.setdefault("box_format", "corners")
    classes = None if columns is None else columns - (background != "none")
    yield Reading("detection", "ssd", sure, said, output, classes, (box.name, score.name))


def _background(scene: Scene, columns: int | None, tail: tuple[str, ...]) -> str:
    if columns is not None and scene.classes is not None:
        return "none" if scene.classes == columns and tail != ("Softmax",) else "first"
    return "none" if columns in _COCO or tail == ("Sigmoid",) else "first"


def _detr(scene: Scene, box: Value, score: Value, said: str) -> Reading:
    columns, classes = score.size(2), scene.classes
    found = scene.dossier.find("output.activation")
    if found is not None:
        activation, sure = found.value, Sure.DERIVED
        said += f", and {found.source}"
    elif columns is not None and classes is not None and columns != classes:
        activation, sure = ("softmax" if columns == classes + 1 else "sigmoid"), Sure.DERIVED
        said += f", of {columns} columns for {classes} classes"
    elif columns is not None and columns == classes:
        activation, sure = "sigmoid", Sure.DERIVED
        said += f", a column for each of {classes} classes"
    else:
        activation, sure = ("softmax" if box.size(1) == 100 else "sigmoid"), Sure.GUESSED  # noqa: PLR2004  # DETR's queries
    output = _others({"logits": score.name, "boxes": box.name}, {"logits": "logits", "boxes": "pred_boxes"})
    if activation != "softmax":
        output["activation"] = activation
    fitting = None if columns is None else columns - (activation == "softmax")
    return Reading("detection", "detr", sure, said, output, fitting, (box.name, score.name))


def _others(parts: Mapping[str, str], defaults: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return the parts whose outputs have other names than the decoder's defaults."""
    return {part: name for part, name in parts.items() if name != (defaults or {}).get(part, part)}
