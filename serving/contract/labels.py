"""Labels: one a line, or JSON where class ids have gaps."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final

from serving.contract.files import CONTRACT_FILE, read_text
from serving.contract.schema import Contract
from serving.errors import ContractInvalid

MAX_LABELS_BYTES: Final = 16 * 2**20
MAX_CLASS_ID: Final = 99_999
"""The largest class id that labels may name: each one up to it takes a place."""


def read_labels(directory: Path, contract: Contract) -> tuple[str, ...]:
    """Return the labels of the file that the contract names, in the order of the class ids; gaps are empty.

    Raises:
        ContractInvalid: the file is missing, too large, or holds no labels.
    """
    if contract.labels is None:
        return ()
    path = directory / contract.labels
    try:
        text = read_text(path, MAX_LABELS_BYTES, "utf-8-sig")
    except FileNotFoundError as error:
        raise ContractInvalid(f"{directory / CONTRACT_FILE}: labels names {path.name}, which does not exist") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ContractInvalid(f"{path} cannot be read as UTF-8 text: {error}") from error
    labels = _json_labels(path, text) if path.suffix == ".json" else _listed_labels(path, text)
    if not labels:
        raise ContractInvalid(f"{path} is empty: one label a line, in the order of the class ids")
    return labels


def _listed_labels(path: Path, text: str) -> tuple[str, ...]:
    labels = tuple(line.strip() for line in text.rstrip().splitlines())
    if "" in labels:
        raise ContractInvalid(f"{path} has no label in line {labels.index('') + 1}: each line is one class")
    return labels


def _json_labels(path: Path, text: str) -> tuple[str, ...]:
    """Read `["cat", "dog"]`, or `{"1": "cat", "18": "dog"}`, where class ids have gaps, which get no label."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ContractInvalid(f"{path} is not JSON: {error}") from error
    if isinstance(found, list):
        found = dict(enumerate(found))
    pairs = list(found.items()) if isinstance(found, dict) else []
    if not pairs or not all(_is_class_id(key) and isinstance(label, str) and label for key, label in pairs):
        raise ContractInvalid(
            f'{path} holds no labels: ["cat", "dog"], or {{"0": "cat", "17": "dog"}} with class ids from 0 to '
            f"{MAX_CLASS_ID}, is expected"
        )
    if any("\ud800" <= letter <= "\udfff" for _, label in pairs for letter in label):
        raise ContractInvalid(f"{path} holds half of a surrogate pair (\\ud800 to \\udfff), which is no text")
    by_id = {int(key): label.strip() for key, label in pairs}
    return tuple(by_id.get(class_id, "") for class_id in range(max(by_id) + 1))


def _is_class_id(key: object) -> bool:
    return re.fullmatch(r"[0-9]{1,6}", str(key), re.ASCII) is not None and int(str(key)) <= MAX_CLASS_ID
