"""Model directories as people write them: the text of `model.yaml`, and labels beside it."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml

SMALLEST: dict[str, Any] = {
    "apiVersion": "kserve-vision/v1",
    "task": "classification",
    "input": {"height": 4, "width": 6, "resize": {"rule": "stretch"}},
    "output": {"decoder": "logits"},
}
"""A contract with nothing in it that could be left out."""


def contract_with(changes: dict[str, Any]) -> dict[str, Any]:
    """The smallest contract with values at dotted keys; None takes a key out."""
    contract = copy.deepcopy(SMALLEST)
    for key, value in changes.items():
        *sections, last = key.split(".")
        place = contract
        for section in sections:
            place = place.setdefault(section, {})
        if value is None:
            del place[last]
        else:
            place[last] = value
    return contract


def write_directory(
    folder: Path, changes: dict[str, Any] | None = None, *, labels: str | None = None, text: str | None = None
) -> Path:
    """Write `model.yaml`: the smallest contract with `changes`, or `text` as it stands."""
    folder.mkdir(parents=True, exist_ok=True)
    changes = dict(changes or {})
    if labels is not None:
        changes["labels"] = "labels.txt"
        (folder / "labels.txt").write_text(labels, encoding="utf-8")
    (folder / "model.yaml").write_text(yaml.safe_dump(contract_with(changes)) if text is None else text, "utf-8")
    return folder
