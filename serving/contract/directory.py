"""Reading a model directory: `model.yaml`, its labels and its digest.

Both servers read the same directory. The digest is what they compare, so that tensors are never decoded with the rules
of another model.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import BaseModel, ValidationError

from serving.contract.schema import API_VERSION, Contract
from serving.errors import ContractInvalid

CONTRACT_FILE = "model.yaml"
DIGESTED: Final[dict[str, Any]] = {
    "apiVersion": True,
    "task": True,
    "input": True,
    "output": {"tensor", "decoder"},
}
"""What both sides must agree on. How many classes an answer holds, how rows are joined and what is said of the model
may differ between them."""
RULES = ("crop", "letterbox", "stretch")


@dataclass(frozen=True, slots=True)
class ModelDirectory:
    """A model directory that was read and found whole.

    `labels` is empty where the contract names none. `digest` is the hex SHA-256 over what both sides must agree
    on: task, input rules, the output's tensor and decoder, labels. Defaults are left out, so that writing one down
    changes nothing.
    """

    path: Path
    contract: Contract
    labels: tuple[str, ...]
    digest: str

    @property
    def model_path(self) -> Path:
        """The ONNX file."""
        return self.path / self.contract.model.file


def load_model_directory(path: Path) -> ModelDirectory:
    """Read and validate the contract in `path` and the labels it names; the ONNX file itself is not opened.

    Raises:
        ContractInvalid: a file is missing, is not YAML, or does not fit the schema. The message names the file, the
            key and what would be right.
    """
    contract = _validate(path / CONTRACT_FILE, _read_yaml(path / CONTRACT_FILE))
    labels = _read_labels(path, contract)
    return ModelDirectory(path=path, contract=contract, labels=labels, digest=_digest(contract, labels))


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        there = ", ".join(sorted(p.name for p in path.parent.glob("*"))[:8]) if path.parent.is_dir() else ""
        raise ContractInvalid(
            f"{path} does not exist: a model directory holds {CONTRACT_FILE}, the ONNX file and its labels; "
            + (f"this one holds {there}" if there else f"{path.parent} is empty or no folder")
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ContractInvalid(f"{path} cannot be read: {error}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # a date like 2024-99-99, a thousand brackets
        raise ContractInvalid(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(loaded, dict):
        raise ContractInvalid(
            f"{path} holds a {type(loaded).__name__} where keys are expected, such as apiVersion: {API_VERSION}"
        )
    return loaded


def _validate(path: Path, values: dict[str, Any]) -> Contract:
    try:
        return Contract.model_validate(values)
    except ValidationError as error:
        faults = "; ".join(_explain(dict(fault)) for fault in error.errors(include_url=False))
        raise ContractInvalid(f"{path}: {faults}", faults=error.error_count()) from error


def _explain(fault: dict[str, Any]) -> str:
    """One fault of pydantic's as a sentence: the key's path, what is wrong, and, for a typo, the key that was meant."""
    path = [str(part) for part in fault["loc"]]
    # Behind `resize`, pydantic names the rule, which is no key.
    parts = [part for before, part in zip(["", *path], path, strict=False) if before != "resize" or part not in RULES]
    key = ".".join(parts) or "the file"
    match fault["type"]:
        case "extra_forbidden":
            close = get_close_matches(parts[-1], sorted(_keys_of(Contract)), n=1)
            return f"{key} is not a key of the contract" + (f": did you mean {close[0]}?" if close else "")
        case "missing":
            return f"{key} is missing"
        case "union_tag_not_found":
            return f"{key}.rule is missing: one of {', '.join(RULES)}"
        case "value_error":
            return f"{key}: {fault['ctx']['error']!s}"
        case _:
            return f"{key} is {fault['input']!r}: {fault['msg'][:1].lower()}{fault['msg'][1:]}"


def _keys_of(section: type[BaseModel]) -> set[str]:
    """Every key of the schema, at any depth, to name the nearest to a typo."""
    keys: set[str] = set()
    pending = [section]
    while pending:
        current = pending.pop()
        for name, field in current.model_fields.items():
            keys.add(name)
            alternatives = getattr(field.annotation, "__args__", None) or (field.annotation,)
            pending += [a for a in alternatives if isinstance(a, type) and issubclass(a, BaseModel)]
    return keys


def _read_labels(directory: Path, contract: Contract) -> tuple[str, ...]:
    if contract.labels is None:
        return ()
    path = directory / contract.labels
    try:
        labels = tuple(line.strip() for line in path.read_text(encoding="utf-8-sig").rstrip().splitlines())
    except FileNotFoundError as error:
        raise ContractInvalid(f"{directory / CONTRACT_FILE}: labels names {path.name}, which does not exist") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ContractInvalid(f"{path} cannot be read as UTF-8 text: {error}") from error
    if "" in labels:
        raise ContractInvalid(f"{path} has no label in line {labels.index('') + 1}: each line is one class")
    if not labels:
        raise ContractInvalid(f"{path} is empty: one label a line, in the order of the class ids")
    return labels


def _digest(contract: Contract, labels: tuple[str, ...]) -> str:
    values = contract.model_dump(mode="json", exclude_defaults=True, include=DIGESTED)
    canonical = json.dumps({"contract": values, "labels": labels}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
