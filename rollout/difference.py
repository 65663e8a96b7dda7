"""What differs between two JSON values, in lines that name the place, or as YAML."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from textwrap import shorten
from typing import Any, Final

import yaml

ABSENT: Final = object()
MAX_VALUE: Final = 80
CONTEXT: Final = 2
"""Lines around each that differs."""


def differences(expected: Any, found: Any, path: str = "") -> Iterator[str]:
    """Yield `path: expected -> found` for each place where they differ: the innermost."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for key in sorted(expected.keys() | found.keys()):
            yield from differences(expected.get(key, ABSENT), found.get(key, ABSENT), f"{path}.{key}".lstrip("."))
    elif isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        for index, (one, other) in enumerate(zip(expected, found, strict=True)):
            yield from differences(one, other, f"{path}[{index}]")
    elif expected != found:
        yield f"{path}: {_told(expected)} -> {_told(found)}"


def unified(before: Any, after: Any) -> tuple[str, ...]:
    """The lines of YAML that go and that come, with those around them: a unified difference without its head."""
    old, new = (yaml.safe_dump(each).splitlines() for each in (before, after))
    return tuple(difflib.unified_diff(old, new, n=CONTEXT, lineterm=""))[2:]


def _told(value: Any) -> str:
    if value is ABSENT:
        return "(absent)"
    return shorten(json.dumps(value, ensure_ascii=True, sort_keys=True), MAX_VALUE, placeholder=" ...")
