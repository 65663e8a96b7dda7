"""Labels in the many forms that exporters write them in."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from inspection.evidence import Labels
from inspection.literals import parse_literal, read_text

MAX_CLASSES: Final = 100_000
"""More than a contract's labels may name."""
_PLACEHOLDER: Final = re.compile(r"(LABEL|class)_?\d+", re.IGNORECASE)
_PBTXT: Final = re.compile(r"item\s*\{([^}]{0,2000})\}", re.DOTALL)
_NUMBERED: Final = re.compile(r"\s*(\d{1,6})\s*[:\t ]\s*(\S.*)")


def labels_of(value: Any) -> Labels | None:
    """Return labels from a list, or from a mapping of class ids to labels or of labels to class ids; else None.

    Labels that say nothing, such as `LABEL_0` or `class1`, are none.
    """
    pairs: list[tuple[Any, Any]]
    if isinstance(value, Mapping):
        pairs = list(value.items())
        if pairs and all(isinstance(label, int) and not isinstance(label, bool) for _, label in pairs):
            pairs = [(number, label) for label, number in pairs]
    elif isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        pairs = list(enumerate(value))
    else:
        return None
    if not 0 < len(pairs) <= MAX_CLASSES:
        return None
    found = {_class_id(number): _clean(label) for number, label in pairs}
    if None in found or len(found) != len(pairs) or not all(found.values()):
        return None
    labels = {number: label for number, label in sorted(found.items(), key=_by_id) if number is not None}
    return None if all(_PLACEHOLDER.fullmatch(label) for label in labels.values()) else labels


def labels_in_text(text: str) -> Labels | None:
    """Return labels from a text: JSON or a Python literal; or one a line; or with commas between."""
    literal = parse_literal(text)
    if literal is not None and not isinstance(literal, (str, int, float)):
        return labels_of(literal)
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    if len(lines) == 1 and "," in lines[0]:
        lines = [each.strip() for each in lines[0].split(",")]
    return labels_of(lines)


def labels_in_file(path: Path) -> Labels | None:
    """Return labels from a file beside a model; None where it holds none."""
    text = read_text(path)
    if text is None or not text.strip():
        return None
    if path.suffix == ".pbtxt":
        return _pbtxt(text)
    if path.suffix == ".json":
        literal = parse_literal(text)
        if isinstance(literal, Mapping):
            literal = next(
                (literal[key] for key in ("id2label", "names", "labels", "classes") if key in literal), literal
            )
        return labels_of(literal) or _imagenet_index(literal)
    lines = [line.strip() for line in text.rstrip().splitlines()]
    numbered = [_NUMBERED.fullmatch(line) for line in lines]
    if all(numbered):
        found = labels_of({match[1]: match[2] for match in numbered if match})
        if found and len(found) == len(lines) and min(found) <= 1:
            return found
    return labels_of(lines)


def _imagenet_index(value: Any) -> Labels | None:
    """Read Keras' `imagenet_class_index.json`: {"0": ["n01440764", "tench"], ...}."""
    if not isinstance(value, Mapping):
        return None
    pairs = {key: each[1] for key, each in value.items() if isinstance(each, list) and len(each) == 2}  # noqa: PLR2004
    return labels_of(pairs) if len(pairs) == len(value) else None


def _pbtxt(text: str) -> Labels | None:
    """Read TensorFlow's label map: `item { id: 1 name: '/m/01g317' display_name: 'person' }`."""
    found: dict[str, str] = {}
    for item in _PBTXT.findall(text):
        number = re.search(r"\bid:\s*(\d{1,6})", item)
        name = re.search(r"display_name:\s*[\"']([^\"']+)", item) or re.search(r"\bname:\s*[\"']([^\"']+)", item)
        if number and name:
            found[number[1]] = name[1]
    return labels_of(found)


def _class_id(number: object) -> int | None:
    text = str(number)
    return int(text) if len(text) < 7 and text.isascii() and text.isdigit() else None  # noqa: PLR2004  # MAX_CLASSES


def _clean(label: object) -> str:
    """Return a label on one line, of a bounded length; empty where it is none."""
    if isinstance(label, (list, tuple)) and label:
        label = label[0]
    if not isinstance(label, (str, int, float)) or isinstance(label, bool):
        return ""
    return " ".join("".join(c if c.isprintable() else " " for c in str(label)).split())[:200]


def _by_id(pair: tuple[int | None, str]) -> int:
    return -1 if pair[0] is None else pair[0]
