"""Reading what others wrote into metadata: JSON, or Python's literals, of a bounded size. Nothing is executed."""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

MAX_TEXT: Final = 2_000_000
"""Characters: 21,843 labels are a third of it."""
MAX_FILE: Final = 8_000_000
"""Bytes of a file that stands beside a model. Hugging Face's largest `config.json` has 2 MB, of labels."""
_MOST_ALIASES: Final = 16
"""Aliases of a YAML file: PaddleX's have a few. One inside another, so many make some hundred times as much of it."""
_UNREADABLE: Final = (ValueError, SyntaxError, TypeError, RecursionError, MemoryError)


def parse_literal(text: str) -> Any:
    """Return what a text says as JSON or as a Python literal; None where it is neither, or is too long."""
    if len(text) > MAX_TEXT:
        return None
    try:
        return json.loads(text)
    except _UNREADABLE:
        pass
    try:
        return ast.literal_eval(text.strip())
    except _UNREADABLE:
        return None


def read_text(path: Path) -> str | None:
    """Return a file's text; None where there is no such file, or it is no text, or too long."""
    try:
        if not path.is_file() or path.stat().st_size > MAX_FILE:
            return None
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return None


def read_json(path: Path) -> Mapping[str, Any] | None:
    """Return the object of a JSON file; None where there is none."""
    text = read_text(path)
    try:
        found = None if text is None else json.loads(text)
    except _UNREADABLE:
        return None
    return found if isinstance(found, dict) else None


def read_yaml(path: Path) -> Mapping[str, Any] | None:
    """Return the mapping of a YAML file; None where there is none."""
    text = read_text(path)
    try:
        found = None if text is None or _multiplies(text) else yaml.safe_load(text)
    except (yaml.YAMLError, *_UNREADABLE):
        return None
    return found if isinstance(found, dict) else None


def _multiplies(text: str) -> bool:
    """Whether a YAML text names its own parts so often that it may grow without end."""
    if "&" not in text:
        return False
    aliases = sum(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, yaml.SafeLoader))
    return aliases > _MOST_ALIASES


def number(value: object) -> float | None:
    """Return a finite number, also one that is written as a text or a fraction: `1./255.`."""
    if isinstance(value, str) and len(value) < 40:  # noqa: PLR2004  # longer than any number is written
        above, _, below = value.strip().partition("/")
        top, bottom = _float(above), _float(below) if below else 1.0
        return None if top is None or not bottom else _finite(top / bottom)
    return None if isinstance(value, bool) or not isinstance(value, (int, float)) else _finite(value)


def numbers(value: object) -> tuple[float, ...] | None:
    """Return one or three numbers; None where the value is something else."""
    if not isinstance(value, Sequence) or isinstance(value, str):
        value = [value]
    if len(value) not in (1, 3):
        return None
    found = tuple(number(each) for each in value)
    return None if None in found else tuple(each for each in found if each is not None)


def whole(value: object) -> int | None:
    """Return a positive whole number of a sensible size."""
    found = number(value)
    return int(found) if found is not None and found == int(found) and 0 < found < 1_000_000 else None  # noqa: PLR2004


def _float(text: str) -> float | None:
    try:
        return _finite(float(text))
    except ValueError:
        return None


def _finite(value: float) -> float | None:
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None
