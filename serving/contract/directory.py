"""Reading a model directory: `model.yaml`, its labels and its digest.

Both servers read the same directory. The digest is what they compare, so that tensors are never decoded with the rules
of another model.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from serving.contract.faults import explain
from serving.contract.files import CONTRACT_FILE, read_text
from serving.contract.labels import read_labels
from serving.contract.schema import API_VERSION, Contract
from serving.decoders import Decoder, decoder_type
from serving.errors import ContractInvalid

MAX_CONTRACT_BYTES: Final = 2**20
MAX_VALUES: Final = 100_000
"""The most values in `model.yaml`; with references to references, a few lines can stand for billions."""

REVISION: Final = 1
"""Raised with every change of a default of the contract, or of what its words mean: of a step of the picture's way, or
of a decoder's program. Servers of two releases that would read one `model.yaml` differently then have two digests."""

DIGESTED: Final[dict[str, Any]] = {
    "apiVersion": True,
    "task": True,
    "input": True,
    "output": True,
}
"""What both sides must agree on, but for the output's `adjustable` keys. How many classes an answer holds, how rows are
joined and what is said of the model may differ between them."""


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

    def decoder(self) -> Decoder[Any]:
        """Return the decoder of the contract's output, bound to its rules."""
        contract = self.contract
        size = None if contract.input.follows_picture else contract.input.largest_size
        return decoder_type(contract.task, contract.output.decoder)(contract.output, size, len(self.labels))


def load_model_directory(path: Path) -> ModelDirectory:
    """Read and validate the contract in `path` and the labels it names; the ONNX file itself is not opened.

    Raises:
        ContractInvalid: a file is missing, is not YAML, or does not fit the schema. The message names the file, the
            key and what would be right.
    """
    contract = _validate(path / CONTRACT_FILE, _read_yaml(path / CONTRACT_FILE))
    labels = read_labels(path, contract)
    try:
        contract.output.check_labels(labels)
    except ContractInvalid as error:
        raise ContractInvalid(f"{path / CONTRACT_FILE}: {error.message}") from error
    return ModelDirectory(path=path, contract=contract, labels=labels, digest=_digest(contract, labels))


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        loaded = yaml.safe_load(read_text(path, MAX_CONTRACT_BYTES, "utf-8"))
    except FileNotFoundError as error:
        there = ", ".join(sorted(p.name for p in path.parent.glob("*"))[:8]) if path.parent.is_dir() else ""
        raise ContractInvalid(
            f"{path} does not exist: a model directory holds {CONTRACT_FILE}, the ONNX file and its labels; "
            + (f"this one holds {there}" if there else f"{path.parent} is empty or no folder")
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ContractInvalid(f"{path} cannot be read: {error}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # a date like 2024-99-99, a thousand brackets
        said = " ".join(str(error).split()).replace('in "<unicode string>", ', "")
        raise ContractInvalid(f"{path} is not YAML: {said}") from error
    if _has_many_values(loaded):
        raise ContractInvalid(f"{path} holds more than {MAX_VALUES} values, with those that stand for others")
    if not isinstance(loaded, dict):
        raise ContractInvalid(
            f"{path} holds a {type(loaded).__name__} where keys are expected, such as apiVersion: {API_VERSION}"
        )
    return loaded


def _has_many_values(loaded: object) -> bool:
    waiting, seen = [loaded], 0
    while waiting:
        seen += 1
        if seen > MAX_VALUES:
            return True
        match waiting.pop():
            case dict() as section:
                waiting += [*section, *section.values()]
            case list() as values:
                waiting += values
    return False


def _validate(path: Path, values: dict[str, Any]) -> Contract:
    try:
        contract = Contract.model_validate(values)
        contract.model_dump_json()
    except PydanticSerializationError as error:
        raise ContractInvalid(
            f"{path} holds half of a surrogate pair (\\ud800 to \\udfff), which is no text"
        ) from error
    except ValidationError as error:
        faults = "; ".join(explain(dict(fault), values) for fault in error.errors(include_url=False))
        raise ContractInvalid(f"{path}: {faults}", faults=error.error_count()) from error
    return contract


def _digest(contract: Contract, labels: tuple[str, ...]) -> str:
    values = contract.model_dump(mode="json", exclude_defaults=True, include=DIGESTED)
    for key in contract.output.adjustable:
        values["output"].pop(key, None)
    said = {"revision": REVISION, "contract": values, "labels": labels}
    canonical = json.dumps(said, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
