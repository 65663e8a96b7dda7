"""Reading a model directory: `model.yaml`, its labels and its digest.

Both servers read the same directory. The digest is what they compare, so that tensors are never decoded with the rules
of another model.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import Any, Final, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticSerializationError

from serving.contract.input import CropResize, LetterboxResize, ShortestEdgeResize, StretchResize
from serving.contract.schema import API_VERSION, Contract
from serving.decoders import Decoder, OutputRules, decoder_type
from serving.errors import ContractInvalid

CONTRACT_FILE = "model.yaml"
MAX_CONTRACT_BYTES: Final = 2**20
MAX_LABELS_BYTES: Final = 16 * 2**20
MAX_VALUES: Final = 100_000
"""The most values in `model.yaml`; with references to references, a few lines can stand for billions."""
MAX_CLASS_ID: Final = 99_999
"""The largest class id that labels may name: each one up to it takes a place."""

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
    labels = _read_labels(path, contract)
    try:
        contract.output.check_labels(labels)
    except ContractInvalid as error:
        raise ContractInvalid(f"{path / CONTRACT_FILE}: {error.message}") from error
    return ModelDirectory(path=path, contract=contract, labels=labels, digest=_digest(contract, labels))


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        loaded = yaml.safe_load(_read_text(path, MAX_CONTRACT_BYTES, "utf-8"))
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


def _read_text(path: Path, max_bytes: int, encoding: str) -> str:
    """Read a file that is one, since reading from a pipe would not end, and not larger than it can be.

    Raises:
        OSError, UnicodeDecodeError: as their names say.
        ContractInvalid: it is too large.
    """
    status = path.stat()
    if not (S_ISREG(status.st_mode) or S_ISDIR(status.st_mode)):
        raise ContractInvalid(f"{path} is no plain file")
    if status.st_size > max_bytes:
        raise ContractInvalid(f"{path} has {status.st_size} bytes; at most {max_bytes} are read")
    return path.read_text(encoding=encoding)


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
        faults = "; ".join(_explain(dict(fault), values) for fault in error.errors(include_url=False))
        raise ContractInvalid(f"{path}: {faults}", faults=error.error_count()) from error
    return contract


def _explain(fault: dict[str, Any], values: Mapping[str, Any]) -> str:
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


def _read_labels(directory: Path, contract: Contract) -> tuple[str, ...]:
    if contract.labels is None:
        return ()
    path = directory / contract.labels
    try:
        text = _read_text(path, MAX_LABELS_BYTES, "utf-8-sig")
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


def _digest(contract: Contract, labels: tuple[str, ...]) -> str:
    values = contract.model_dump(mode="json", exclude_defaults=True, include=DIGESTED)
    for key in contract.output.adjustable:
        values["output"].pop(key, None)
    said = {"revision": REVISION, "contract": values, "labels": labels}
    canonical = json.dumps(said, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
