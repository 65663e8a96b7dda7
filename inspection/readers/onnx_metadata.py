"""What exporters write into the ONNX file itself, as `metadata_props`.

Sources: ultralytics/ultralytics `engine/exporter.py` (description, author, license, stride, task, batch, imgsz, names,
args, channels, each `str()` of a Python value); ultralytics/yolov5 `export.py` (stride, names); RapidOCR and PaddleOCR
(`character`); ONNX's docs/MetadataProps.md (`Image.BitmapPixelFormat`, `Image.NominalPixelRange`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from inspection.evidence import Evidence, Finding, LabelSet, Sure
from inspection.graph import Graph
from inspection.labels import labels_in_text
from inspection.licences import spdx
from inspection.literals import MAX_TEXT, number, numbers, parse_literal, whole

_LABELS: Final = (
    "names", "labels", "classes", "class_names", "class_labels", "label_names", "id2label", "categories", "label_map",
)  # fmt: skip
_LICENCES: Final = ("license", "licence", "License", "model_license")
_TASKS: Final = {
    "detect": "detection",
    "segment": "instance_segmentation",
    "classify": "classification",
    "classification": "classification",
    "image-classification": "classification",
    "detection": "detection",
    "object-detection": "detection",
    "semantic-segmentation": "segmentation",
    "semantic": "segmentation",
    "segmentation": "segmentation",
    "embedding": "embedding",
}
UNSERVED: Final = {
    "pose": "keypoints (Ultralytics' task pose)",
    "obb": "turned boxes (Ultralytics' task obb)",
}
_RANGES: Final[Mapping[str, dict[str, Any]]] = {
    "nominalrange_0_255": {"scale": 1.0},
    "normalized_0_1": {},
    "normalized_1_1": {"scale": 1.0, "mean": (127.5,) * 3, "std": (127.5,) * 3},
}
_SIDES: Final = 2
_LARGEST_OF_SHARES: Final = 2.0


def read(graph: Graph, folder: Path) -> Evidence:  # noqa: ARG001  # each reader's signature
    """Read the file's own metadata."""
    said = {key: value for key, value in graph.metadata.items() if len(value) <= MAX_TEXT}
    family = _family(said)
    labels = [
        LabelSet(found, f"`{key}` in the file's metadata")
        for key in _LABELS
        if key in said and (found := labels_in_text(said[key]))
    ]
    findings = [*_size(said), *_task(said), *_normalize(said), *_color(said), *_info(said)]
    notes = []
    if "character" in said:
        notes.append(
            "`character` in the file's metadata is the alphabet of a text recogniser (PaddleOCR): reading text is no "
            "task of kserve-vision, whose `raw` task passes its tensors through"
        )
    if len(said) < len(graph.metadata):
        notes.append(f"metadata of more than {MAX_TEXT} characters was not read")
    return Evidence(tuple(findings), tuple(labels), family=family, architecture=_architecture(said), notes=tuple(notes))


def _family(said: Mapping[str, str]) -> str:
    if said.get("author", "").lower() == "ultralytics" or "ultralytics" in said.get("docs", "").lower():
        return "ultralytics"
    if "names" in said and "stride" in said:
        return "yolov5"
    return "paddle_ocr" if "character" in said else ""


def _architecture(said: Mapping[str, str]) -> str:
    """Return the network's name; Ultralytics' `description` holds the name of its file, its `head` the last layer's."""
    keys = ("head", "description", "model_name", "architecture")
    return next((said[key][:80] for key in keys if said.get(key)), "")


def _task(said: Mapping[str, str]) -> list[Finding]:
    task = said.get("task", "").strip().lower()
    source = f"`task: {task}` in the file's metadata"
    if task in UNSERVED:
        return [Finding("unserved", UNSERVED[task], Sure.FOUND, source)]
    return [Finding("task", _TASKS[task], Sure.FOUND, source)] if task in _TASKS else []


def _size(said: Mapping[str, str]) -> list[Finding]:
    sides = parse_literal(said.get("imgsz", ""))
    if isinstance(sides, int):
        sides = [sides, sides]
    stride = whole(said.get("stride"))
    found = []
    if isinstance(sides, (list, tuple)) and len(sides) == _SIDES and all(map(whole, sides)):
        source = f"`imgsz: {said['imgsz'][:40]}` in the file's metadata"
        found += [
            Finding("input.height", whole(sides[0]), Sure.FOUND, source),
            Finding("input.width", whole(sides[1]), Sure.FOUND, source),
        ]
    if stride:
        found.append(Finding("stride", stride, Sure.FOUND, f"`stride: {stride}` in the file's metadata"))
    return found


def _normalize(said: Mapping[str, str]) -> list[Finding]:
    nominal = said.get("Image.NominalPixelRange", "").lower()
    if nominal in _RANGES:
        source = f"`Image.NominalPixelRange: {said['Image.NominalPixelRange']}` in the file's metadata"
        return [Finding("input.normalize", _RANGES[nominal], Sure.FOUND, source)]
    for mean_key, std_key in (("mean", "std"), ("image_mean", "image_std"), ("norm_mean", "norm_std")):
        mean, std = (numbers(parse_literal(said.get(key, ""))) for key in (mean_key, std_key))
        if mean and std and all(std):
            rules: dict[str, Any] = {"mean": mean, "std": std}
            if max(*mean, *std) > _LARGEST_OF_SHARES:
                rules["scale"] = number(said.get("scale")) or 1.0
            return [
                Finding("input.normalize", rules, Sure.FOUND, f"`{mean_key}` and `{std_key}` in the file's metadata")
            ]
    return []


def _color(said: Mapping[str, str]) -> list[Finding]:
    pixel = said.get("Image.BitmapPixelFormat", "").lower()
    if pixel[:3] in ("rgb", "bgr"):
        source = f"`Image.BitmapPixelFormat: {pixel}` in the file's metadata"
        return [Finding("input.color", pixel[:3], Sure.FOUND, source)]
    return []


def _info(said: Mapping[str, str]) -> list[Finding]:
    found = []
    for key in _LICENCES:
        if said.get(key, "").strip():
            found.append(Finding("model.license", spdx(said[key]), Sure.FOUND, f"`{key}` in the file's metadata"))
            break
    description = " ".join(said.get("description", "").split())[:200]
    if description:
        found.append(Finding("model.description", description, Sure.FOUND, "`description` in the file's metadata"))
    arguments = parse_literal(said.get("args", ""))
    if isinstance(arguments, dict) and arguments.get("nms") is True:
        found.append(Finding("nms_inside", "yes", Sure.FOUND, "`nms: True` among the export's args in the metadata"))
    return found
