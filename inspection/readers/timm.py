"""timm's `config.json`: how its model was evaluated.

Source: huggingface/pytorch-image-models, `timm/models/_hub.py` (`save_config_for_hf`: architecture, num_classes,
label_names, pretrained_cfg; older ones hold the cfg's keys themselves) and `timm/data/transforms_factory.py`
(`transforms_imagenet_eval`: the shorter side is `floor(size / crop_pct)`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from inspection.evidence import Evidence, Finding, LabelSet, Sure
from inspection.graph import Graph
from inspection.labels import labels_of
from inspection.licences import spdx
from inspection.literals import number, numbers, read_json, whole

_FILTERS: Final = ("nearest", "bilinear", "bicubic", "lanczos", "box", "hamming")
_FILE: Final = "timm's config.json"
_AXES: Final = 3


def read(graph: Graph, folder: Path) -> Evidence:  # noqa: ARG001  # each reader's signature
    """Read timm's config beside the model."""
    config = read_json(folder / "config.json") or {}
    inner = config.get("pretrained_cfg")
    said: Mapping[str, Any] = inner if isinstance(inner, Mapping) else config
    if "architecture" not in config or "input_size" not in said:
        return Evidence()
    classes = whole(config.get("num_classes", said.get("num_classes")))
    findings = [*_task(classes, config, said), *_size(said), *_normalize(said)]
    licence = said.get("license")
    if isinstance(licence, str) and licence:
        findings.append(Finding("model.license", spdx(licence), Sure.FOUND, f"`license` in {_FILE}"))
    names = labels_of(config.get("label_names") or said.get("label_names") or said.get("labels"))
    descriptions = config.get("label_descriptions") or said.get("label_descriptions")
    if names and isinstance(descriptions, Mapping):
        names = {number_: str(descriptions.get(name, name))[:200] for number_, name in names.items()}
    labels = (LabelSet(names, f"`label_names` in {_FILE}"),) if names else ()
    architecture = str(config["architecture"])[:80]
    return Evidence(tuple(findings), labels, family="timm", architecture=architecture, classes=classes)


def _task(classes: int | None, config: Mapping[str, Any], said: Mapping[str, Any]) -> list[Finding]:
    if classes:
        return [Finding("task", "classification", Sure.FOUND, f"`num_classes: {classes}` in {_FILE}")]
    if config.get("num_classes", said.get("num_classes")) == 0:
        return [Finding("task", "embedding", Sure.FOUND, f"`num_classes: 0` in {_FILE}")]
    return []


def _size(said: Mapping[str, Any]) -> list[Finding]:
    for prefix in ("", "test_"):
        size = said.get(f"{prefix}input_size")
        if isinstance(size, list) and len(size) == _AXES and whole(size[1]) and whole(size[2]):
            height, width = int(size[1]), int(size[2])
            break
    else:
        return []
    share = number(said.get("crop_pct")) or 0.875
    mode = str(said.get("crop_mode") or "center")
    source = f"`input_size`, `crop_pct: {share:g}` and `crop_mode: {mode}` in {_FILE}"
    shorter = math.floor(min(height, width) / share) if 0 < share <= 1 else min(height, width)
    if mode == "center":
        rule: dict[str, Any] = {"rule": "crop", "shorter_side": max(shorter, height, width)}
    elif mode == "border":
        rule = {"rule": "letterbox"}
    else:
        rule = {"rule": "stretch"}
    sure = Sure.FOUND if mode == "center" or share == 1 else Sure.DERIVED
    if said.get("interpolation") in _FILTERS:
        rule["interpolation"] = said["interpolation"]
    return [
        Finding("input.height", height, Sure.FOUND, source),
        Finding("input.width", width, Sure.FOUND, source),
        Finding("input.resize", rule, sure, source),
    ]


def _normalize(said: Mapping[str, Any]) -> list[Finding]:
    mean, std = numbers(said.get("mean")), numbers(said.get("std"))
    if not mean or not std or not all(std):
        return []
    rules = {} if not any(mean) and set(std) == {1.0} else {"mean": mean, "std": std}
    return [
        Finding("input.normalize", rules, Sure.FOUND, f"`mean` and `std` in {_FILE}"),
        Finding("input.color", "rgb", Sure.DERIVED, "timm works in RGB"),
    ]
