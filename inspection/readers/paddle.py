"""PaddlePaddle's configs: `infer_cfg.yml`, `inference.yml` and `deploy.yaml`, which its exports carry beside the model.

Sources: PaddleDetection `ppdet/engine/export_utils.py` (Preprocess: Resize, NormalizeImage, Permute; label_list);
PaddleClas and PaddleX (PreProcess.transform_ops: ResizeImage, CropImage, NormalizeImage; PostProcess.Topk.label_list);
PaddleSeg `tools/export.py` (Deploy.transforms: Normalize, Resize; output_op). All of them decode to RGB, and resize
with OpenCV.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from inspection.evidence import Evidence, Finding, LabelSet, Sure
from inspection.graph import Graph
from inspection.labels import labels_of
from inspection.literals import number, numbers, read_yaml, whole

_FILES: Final = ("infer_cfg.yml", "inference.yml", "deploy.yaml")
_FILTERS: Final = {0: "opencv_nearest", 1: "opencv_linear", 2: "opencv_cubic", 3: "opencv_area"}
"""OpenCV's numbers."""
_NAMED: Final = {
    "nearest": "opencv_nearest", "bilinear": "opencv_linear", "linear": "opencv_linear", "bicubic": "opencv_cubic",
    "cubic": "opencv_cubic", "area": "opencv_area",
}  # fmt: skip
_UNSERVED: Final = {
    "DBPostProcess": "places of text (PaddleOCR's detector)",
    "CTCLabelDecode": "text (PaddleOCR's recogniser)",
}
_HALF: Final = (0.5, 0.5, 0.5)


def read(graph: Graph, folder: Path) -> Evidence:  # noqa: ARG001  # each reader's signature
    """Read PaddlePaddle's config beside the model."""
    for name in _FILES:
        config = read_yaml(folder / name)
        if config and ({"Preprocess", "PreProcess", "Deploy"} & set(config)):
            return _read(config, name)
    return Evidence()


def _read(config: Mapping[str, Any], name: str) -> Evidence:
    steps = dict(_steps(config))
    after = config.get("PostProcess")
    after = after if isinstance(after, Mapping) else {}
    deploy = config.get("Deploy")
    deploy = deploy if isinstance(deploy, Mapping) else {}
    family = "paddle_seg" if deploy else "paddle_detection" if "Preprocess" in config else "paddle_clas"
    unserved = str(after.get("name", ""))
    findings = [*_resize(steps, name, width_first=bool(deploy)), *_normalize(steps, name)]
    if unserved in _UNSERVED:
        findings.append(Finding("unserved", _UNSERVED[unserved], Sure.FOUND, f"`{unserved}` in {name}"))
    else:
        findings += _task(family, after, deploy, name)
    color = "bgr" if str(steps.get("DecodeImage", {}).get("img_mode", "")).upper() == "BGR" else "rgb"
    findings.append(Finding("input.color", color, Sure.DERIVED, f"{name}: PaddlePaddle decodes to {color.upper()}"))
    topk = after.get("Topk")
    listed = config.get("label_list") or (topk.get("label_list") if isinstance(topk, Mapping) else None)
    found = labels_of(listed)
    labels = (LabelSet(found, f"`label_list` in {name}"),) if found else ()
    threshold = number(config.get("draw_threshold"))
    if family == "paddle_detection" and threshold is not None and 0 <= threshold <= 1:
        findings.append(Finding("output.confidence_threshold", threshold, Sure.FOUND, f"`draw_threshold` in {name}"))
    return Evidence(tuple(findings), labels, family=family, architecture=str(config.get("arch", ""))[:80])


def _task(family: str, after: Mapping[str, Any], deploy: Mapping[str, Any], name: str) -> Iterator[Finding]:
    if family == "paddle_detection":
        yield Finding("task", "detection", Sure.DERIVED, f"{name} is PaddleDetection's")
    elif deploy:
        yield Finding("task", "segmentation", Sure.DERIVED, f"{name} is PaddleSeg's")
        if deploy.get("output_op") == "argmax":
            yield Finding("output.decoder", "class_map", Sure.FOUND, f"`output_op: argmax` in {name}")
    elif "Topk" in after:
        yield Finding("task", "classification", Sure.FOUND, f"`Topk` in {name}")


def _steps(config: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Tell the steps of both forms: `{type: Resize, ...}` and `{ResizeImage: {...}}`."""
    deploy, inner = config.get("Deploy"), config.get("PreProcess")
    found = config.get("Preprocess")
    if isinstance(deploy, Mapping):
        found = deploy.get("transforms")
    elif isinstance(inner, Mapping):
        found = inner.get("transform_ops")
    elif inner is not None:
        found = inner
    for step in found if isinstance(found, list) else ():
        if isinstance(step, Mapping) and isinstance(step.get("type"), str):
            yield step["type"], step
        elif isinstance(step, Mapping):
            for name, values in step.items():
                yield str(name), values if isinstance(values, Mapping) else {}


def _resize(steps: Mapping[str, Mapping[str, Any]], name: str, *, width_first: bool) -> list[Finding]:
    said = steps.get("ResizeImage") or steps.get("Resize")
    if not said:
        return []
    sampling = _NAMED.get(str(said.get("interpolation", "")).lower())
    sampling = sampling or _FILTERS.get(int(number(said.get("interp")) or 1), "opencv_linear")
    if str(said.get("backend", "")).lower() == "pil":
        sampling = sampling.removeprefix("opencv_").replace("linear", "bilinear").replace("cubic", "bicubic")
    short = whole(said.get("resize_short"))
    if short:
        crop = _box(steps.get("CropImage", {}).get("size"), width_first=True) or (short, short)
        source = f"`resize_short: {short}` and `CropImage` in {name}"
        rule: dict[str, Any] = {"rule": "crop", "shorter_side": max(short, *crop), "interpolation": sampling}
        return _found(crop, rule, source)
    box = _box(said.get("target_size") or said.get("size"), width_first=width_first or "size" in said)
    if box is None:
        return []
    source = f"`target_size: {box[0]}x{box[1]}` in {name}"
    if said.get("keep_ratio") is True:
        rule = {"rule": "letterbox", "align": "top_left", "color": (0, 0, 0), "interpolation": sampling}
        return _found(box, rule, f"{source}, `keep_ratio`", Sure.DERIVED)
    return _found(box, {"rule": "stretch", "interpolation": sampling}, source)


def _found(box: tuple[int, int], rule: dict[str, Any], source: str, sure: Sure = Sure.FOUND) -> list[Finding]:
    return [
        Finding("input.height", box[0], Sure.FOUND, source),
        Finding("input.width", box[1], Sure.FOUND, source),
        Finding("input.resize", rule, sure, source),
    ]


def _box(size: Any, *, width_first: bool) -> tuple[int, int] | None:
    """Return height and width."""
    sides = size if isinstance(size, list) else [size, size]
    if len(sides) != 2 or not whole(sides[0]) or not whole(sides[1]):  # noqa: PLR2004  # height and width
        return None
    first, second = int(sides[0]), int(sides[1])
    return (second, first) if width_first else (first, second)


def _normalize(steps: Mapping[str, Mapping[str, Any]], name: str) -> list[Finding]:
    if "Normalize" in steps:  # PaddleSeg's, whose pixels are 0..1 and whose defaults are a half
        said, key = steps["Normalize"], "Normalize"
        mean, std = numbers(said.get("mean")) or _HALF, numbers(said.get("std")) or _HALF
        scale = 1 / 255
    elif "NormalizeImage" in steps:
        said, key = steps["NormalizeImage"], "NormalizeImage"
        mean, std = numbers(said.get("mean")) or (0.0,), numbers(said.get("std")) or (1.0,)
        if said.get("norm_type") == "none":
            mean, std = (0.0,), (1.0,)
        scale = number(said.get("scale")) or (1.0 if said.get("is_scale") is False else 1 / 255)
    else:
        return []
    if not all(std):
        return []
    rules: dict[str, Any] = {} if abs(scale * 255 - 1) < 1e-3 else {"scale": scale}  # noqa: PLR2004  # 0.00392157
    if any(mean) or set(std) != {1.0}:
        rules |= {"mean": mean, "std": std}
    return [Finding("input.normalize", rules, Sure.FOUND, f"`{key}` in {name}")]
