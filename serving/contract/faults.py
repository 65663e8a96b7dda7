"""What is wrong with a `model.yaml`, in sentences that name the key and what would be right."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final, get_args

from pydantic import BaseModel

from serving.contract.input import CropResize, LetterboxResize, ShortestEdgeResize, StretchResize
from serving.contract.schema import Contract
from serving.decoders import OutputRules, decoder_type

RESIZES: Final[dict[str, type[BaseModel]]] = {
    "crop": CropResize,
    "letterbox": LetterboxResize,
    "stretch": StretchResize,
    "shortest_edge": ShortestEdgeResize,
}
RULES: Final = tuple(RESIZES)
_ENUM_MEMBER: Final = re.compile(r"<\w+\.\w+: ('[^']*')>")
"""A choice as pydantic writes it where only some members of an enum are right."""
_TAGS: Final = {"resize": RULES, "scale": ("number", "largest")}
"""What pydantic's paths hold behind a key to tell its kinds apart, and which is no key."""


def explain(fault: dict[str, Any], values: Mapping[str, Any]) -> str:
    """One fault of pydantic's as a sentence: the key's path, what is wrong, and, for a typo, the key that was meant."""
    path = [str(part) for part in fault["loc"]]
    parts = [part for before, part in zip(["", *path], path, strict=False) if part not in _TAGS.get(before, ())]
    key = ".".join(parts) or "the file"
    given = f"{key} is {fault['input']!r:.80}"
    match fault["type"]:
        case "extra_forbidden":
            known = sorted(_section_at(path[:-1], values).model_fields)
            close = get_close_matches(parts[-1], known, n=1)
            hint = f": did you mean {close[0]}?" if close else f"; there are {', '.join(known)}"
            said = f"{key} is not a key of the contract{hint}"
        case "missing":
            said = f"{key} is missing"
        case "union_tag_not_found":
            said = f"{key}.rule is missing: one of {', '.join(RULES)} is expected"
        case "union_tag_invalid":
            said = f"{key}.rule is {fault['ctx']['tag']!r}: one of {', '.join(RULES)} is expected"
        case "int_parsing" | "int_type" | "int_from_float":
            said = f"{given}: a whole number is expected"
        case "float_parsing" | "float_type":
            said = f"{given}: a number is expected"
        case "model_type":
            said = f"{given}: keys with values are expected"
        case "value_error":
            said = f"{key}: {fault['ctx']['error']!s}"
        case _:
            message = _ENUM_MEMBER.sub(r"\1", fault["msg"])
            said = f"{given}: {message[:1].lower()}{message[1:]}"
    return said


def _section_at(path: Sequence[str], values: Mapping[str, Any]) -> type[BaseModel]:
    """Return the section of the schema at a path of keys; behind `resize`, pydantic's path names the rule."""
    section: type[BaseModel] = Contract
    for key in path:
        if key in RULES:
            section = RESIZES[key]
        elif section is Contract and key == "output":
            named = values["output"].get("decoder")
            section = decoder_type(values["task"], named).rules_type if named else OutputRules
        elif key in section.model_fields:
            annotation = section.model_fields[key].annotation
            inner = [kind for kind in (annotation, *get_args(annotation)) if isinstance(kind, type)]
            section = next((kind for kind in inner if issubclass(kind, BaseModel)), section)
    return section
