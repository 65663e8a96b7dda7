"""Requests in the binary tensor data extension, built part by part so that a test can let the parts disagree."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from .rest import HEADER_LENGTH, OCTETS, RestServer
from .tensors import JsonObject, Tensor


@dataclass
class BinaryRequest:
    """A request that says the JSON `document` and the bytes of its tensors, `tail`, one behind the other."""

    document: JsonObject
    tail: bytes
    headers: dict[str, str] = field(default_factory=lambda: dict(OCTETS))
    header_length: str | None = ""
    """What stands in the header instead of the truth; None: no header."""

    @property
    def first(self) -> JsonObject:
        """The first input."""
        first: JsonObject = self.document["inputs"][0]
        return first

    @property
    def head(self) -> bytes:
        """The JSON as it is sent."""
        return json.dumps(self.document).encode()

    def resize(self, shape: Sequence[int], raw: bytes) -> None:
        """Let the first input, the only one with bytes, have another `shape` and other bytes."""
        self.first["shape"] = list(shape)
        self.first["parameters"]["binary_data_size"] = len(raw)
        self.tail = raw

    def send(self, rest: RestServer) -> httpx.Response:
        """Send it to the model's ``infer`` route."""
        headers = dict(self.headers)
        if self.header_length is not None:
            headers[HEADER_LENGTH] = self.header_length or str(len(self.head))
        return rest.post(self.head + self.tail, headers)


def binary_request(inputs: Sequence[Tensor], **fields: Any) -> BinaryRequest:
    """Return a valid request with every input in bytes."""
    document = {**fields, "inputs": [binary_input(tensor) for tensor in inputs]}
    return BinaryRequest(document, b"".join(tensor.raw for tensor in inputs))


def first_binary_request(inputs: Sequence[Tensor]) -> BinaryRequest:
    """Return a valid request with the first input in bytes and the others in JSON."""
    rest_of_them = [tensor.document for tensor in inputs[1:]]
    return BinaryRequest({"inputs": [binary_input(inputs[0]), *rest_of_them]}, inputs[0].raw)


def binary_input(tensor: Tensor) -> JsonObject:
    """Return what the JSON says of an input whose data follows in bytes."""
    document = {name: value for name, value in tensor.document.items() if name != "data"}
    return {**document, "parameters": {"binary_data_size": len(tensor.raw)}}
