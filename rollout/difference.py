"""What differs between two JSON values, in lines that name the place."""

from __future__ import annotations

import json
from collections.abc import Iterator
from textwrap import shorten
from typing import Any, Final

ABSENT: Final = object()
MAX_VALUE: Final = 80


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


def _told(value: Any) -> str:
    if value is ABSENT:
        return "(absent)"
    return shorten(json.dumps(value, ensure_ascii=True, sort_keys=True), MAX_VALUE, placeholder=" ...")
