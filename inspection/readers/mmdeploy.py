"""MMDeploy's `pipeline.json`, which its exports carry beside `end2end.onnx`.

Source: open-mmlab/mmdeploy, `mmdeploy/backend/sdk/export_info.py` (`get_preprocess`). Its means are of 0..255, and
`to_rgb` says that the network takes RGB, where MMCV reads BGR.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from inspection.evidence import Evidence, Finding, LabelSet, Sure
from inspection.graph import Graph
from inspection.labels import labels_of
from inspection.literals import numbers, read_json, whole

_FILE: Final = "MMDeploy's pipeline.json"
_RANK: Final = 4
_SIDES: Final = 2
_TASKS: Final = {
    "mmpretrain": "classification",
    "mmcls": "classification",
    "mmseg": "segmentation",
    "mmdet": "detection",
}


def read(graph: Graph, folder: Path) -> Evidence:
    """Read MMDeploy's pipeline beside the model."""
    pipeline = (read_json(folder / "pipeline.json") or {}).get("pipeline")
    tasks = pipeline.get("tasks") if isinstance(pipeline, Mapping) else None
    if not isinstance(tasks, list):
        return Evidence()
    steps = dict(_transforms(tasks))
    findings = [*_normalize(steps), *_resize(steps, graph)]
    modules = {str(task.get("module")) for task in tasks if isinstance(task, Mapping)}
    findings += [
        Finding("task", task, Sure.FOUND, f"`module: {module}` in {_FILE}")
        for module, task in _TASKS.items()
        if module in modules
    ]
    detail = read_json(folder / "detail.json") or {}
    found = labels_of(detail.get("classes"))
    labels = (LabelSet(found, "`classes` in detail.json"),) if found else ()
    return Evidence(tuple(findings[:8]), labels, family="mmdeploy")


def _transforms(tasks: list[Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for task in tasks:
        steps = task.get("transforms") if isinstance(task, Mapping) else None
        for step in steps if isinstance(steps, list) else ():
            if isinstance(step, Mapping):
                yield str(step.get("type")), step


def _normalize(steps: Mapping[str, Mapping[str, Any]]) -> list[Finding]:
    said = steps.get("Normalize")
    if said is None:
        return []
    mean, std = numbers(said.get("mean")), numbers(said.get("std"))
    if not mean or not std or not all(std):
        return []
    source = f"`Normalize` in {_FILE}"
    return [
        Finding("input.normalize", {"scale": 1.0, "mean": mean, "std": std}, Sure.FOUND, source),
        Finding("input.color", "rgb" if said.get("to_rgb") else "bgr", Sure.FOUND, f"`to_rgb` of {source}"),
    ]


def _resize(steps: Mapping[str, Mapping[str, Any]], graph: Graph) -> list[Finding]:
    crop = whole_or_first(steps.get("CenterCrop", {}).get("crop_size"))
    said = steps.get("Resize", {})
    size = said.get("size")
    edge = whole_or_first(size)
    source = f"`Resize: {str(size)[:40]}` in {_FILE}"
    if crop and edge:
        rule: dict[str, Any] = {"rule": "crop", "shorter_side": max(edge, crop), "interpolation": "opencv_linear"}
    elif said.get("keep_ratio"):
        color = steps.get("Pad", {}).get("pad_val")
        color = color.get("img") if isinstance(color, Mapping) else color
        fill = numbers(color) or (0.0,)
        levels = tuple(min(255, max(0, round(each))) for each in (fill * 3)[:3])
        rule = {"rule": "letterbox", "align": "top_left", "color": levels, "interpolation": "opencv_linear"}
        sides = [whole(side) for side in size] if isinstance(size, list) else []
        if len(sides) == _SIDES and _is_free(graph):
            rule = {
                "rule": "shortest_edge",
                "shorter_side": min(side or 1 for side in sides),
                "longer_side": max(side or 1 for side in sides),
                "interpolation": "opencv_linear",
            }
            multiple = whole(steps.get("Pad", {}).get("size_divisor"))
            rule |= {"multiple": multiple, "pad": levels} if multiple else {}
    elif edge:
        rule = {"rule": "stretch", "interpolation": "opencv_linear"}
    else:
        return []
    return [Finding("input.resize", rule, Sure.FOUND, source)]


def _is_free(graph: Graph) -> bool:
    """Whether the graph takes pictures of any height and width."""
    return any(value.rank == _RANK and value.size(2) is None and value.size(3) is None for value in graph.inputs)


def whole_or_first(value: Any) -> int | None:
    """Return a side, or the first of two where the other is the same or -1, which means the aspect is kept."""
    if isinstance(value, list) and value:
        value = value[0] if whole(value[0]) else value[-1]
    return whole(value)
