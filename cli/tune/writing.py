"""Putting a section into `model.yaml` as a person would: a line changed, a line added, and all else as it was.

Places are found by YAML's own parser, and the text is changed at these alone. The result is read again: unless it says
what was there before, with the new values and nothing else, nothing is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from cli.tune.block import MARK, Block, scalar
from cli.tune.candidates import Candidate
from inspection.writing import replace_text
from serving.contract import Contract, load_model_directory
from serving.errors import ContractInvalid

Edit = tuple[int, int, str]
"""A span of the text, and what comes in its place."""


class NotWritten(ValueError):
    """The contract stays as it is; the message says why."""


def write(path: Path, block: Block, candidate: Candidate) -> bool:
    """Put a candidate's sections into the contract at `path`; return whether it said anything else before.

    A key that is there already gets the candidate's value, even where a predictor would find it by itself.

    Raises:
        NotWritten: the file is not written in a way that can be changed with certainty, or cannot be written.
    """
    path = path.resolve()  # a link stays a link
    try:
        with path.open(encoding="utf-8", newline="") as file:
            before = file.read()
        after = changed(before, block, candidate)
        if after == before:
            return False
        replace_text(path, after, keep_mode=True)
        try:
            load_model_directory(path.parent)
        except ContractInvalid:
            replace_text(path, before, keep_mode=True)
            raise
    except (OSError, UnicodeDecodeError, ContractInvalid) as error:
        raise NotWritten(f"{path} cannot be written: {error}") from error
    return True


def changed(text: str, block: Block, candidate: Candidate) -> str:
    """Return a contract's text with a candidate's sections.

    Raises:
        NotWritten: its sections are not blocks of keys, one a line, at the top level of the file.
    """
    concrete = {
        "batching": candidate.batching.model_dump(mode="json"),
        "runtime": candidate.runtime.model_dump(mode="json"),
    }
    wanted = _load(text)
    after = text
    for name, new in (("batching", block.batching), ("runtime", block.runtime)):
        there = wanted.get(name) or {}
        if not isinstance(there, dict):
            raise NotWritten(f"its {name} is no section")
        # What the block leaves out is the predictor's own choice: a key that is there must not contradict it.
        values = {key: concrete[name][key] for key in there} | dict(new) if new or name == "batching" else {}
        values = {key: value for key, value in values.items() if there.get(key) != value or key not in there}
        if values:
            wanted[name] = there | values
            after = with_section(after, name, values, block.comment)
    if _load(after) != wanted:
        raise NotWritten("it is not written in a way that can be changed with certainty")
    Contract.model_validate(wanted)
    return after


def with_section(text: str, name: str, values: Mapping[str, Any], comment: str) -> str:
    """Return YAML with other values in one of its sections, under a comment that replaces an earlier one of its kind.

    Raises:
        NotWritten: the section, or the file, is no block of keys.
    """
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode) or root.flow_style:
        raise NotWritten("it is no block of keys")
    pair = next(((key, value) for key, value in root.value if key.value == name), None)
    if pair is None:
        lines = [comment, f"{name}:", *(f"  {key}: {scalar(value)}" for key, value in values.items())]
        newline = _newline(text)
        return text.rstrip() + newline * 2 + newline.join(lines) + newline
    key, section = pair
    if not isinstance(section, yaml.MappingNode) or section.flow_style or not section.value:
        raise NotWritten(f"its {name} is not written as a block of keys, one a line")
    edits = [*_old_comments(text, key, section), *_edits(text, key, section, values, comment)]
    for start, end, fresh in sorted(edits, reverse=True):
        text = text[:start] + fresh + text[end:]
    return text


def _edits(
    text: str, name: yaml.Node, section: yaml.MappingNode, values: Mapping[str, Any], comment: str
) -> list[Edit]:
    """Return what is to be changed: values where their keys are, and lines below the section's name where not."""
    there = {key.value: value for key, value in section.value}
    edits = []
    for key in values.keys() & there.keys():
        node = there[key]
        if not isinstance(node, yaml.ScalarNode) or node.style in ("|", ">"):
            raise NotWritten(f"its {key} is not written on one line")
        edits.append((node.start_mark.index, node.end_mark.index, scalar(values[key])))
    indent = " " * section.start_mark.column
    fresh = [comment, *(f"{key}: {scalar(value)}" for key, value in values.items() if key not in there)]
    below = _next_line(text, name.end_mark.index)
    edits.append((below, below, "".join(f"{indent}{line}{_newline(text)}" for line in fresh)))
    return edits


def _old_comments(text: str, name: yaml.Node, section: yaml.MappingNode) -> list[Edit]:
    """Return the lines, from the section's name to its last value, that an earlier time has left."""
    edits = []
    start = _next_line(text, name.end_mark.index)
    last = section.value[-1][1].end_mark.index
    while start < last:
        end = _next_line(text, start)
        if text[start:end].strip().startswith(MARK):
            edits.append((start, end, ""))
        start = end
    return edits


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _next_line(text: str, index: int) -> int:
    found = text.find("\n", index)
    return len(text) if found < 0 else found + 1


def _load(text: str) -> dict[str, Any]:
    try:
        loaded = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise NotWritten(f"it is not YAML: {error}") from error
    if not isinstance(loaded, dict):
        raise NotWritten("it is no block of keys")
    return loaded
