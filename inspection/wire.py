"""An ONNX file without its weights: its protobuf message, rewritten without what is large.

A model of gigabytes is then inspected in the memory that its structure takes, and a file that was made to exhaust its
reader is refused early: the walk over a field costs nothing but its tag and its length.

Source: protobuf's encoding, https://protobuf.dev/programming-guides/encoding, and the field numbers of onnx.proto.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from inspection.errors import NotAModel

MAX_SKELETON: Final = 16 << 20
"""Bytes that are left without weights. A large vision transformer has 2 MB."""
MAX_FIELDS: Final = 400_000
"""Nodes, initializers and shapes of one graph. A large vision transformer has 20,000."""
MAX_NODE: Final = 64 << 10
MAX_INITIALIZER: Final = 4 << 10
"""Bytes up to which a node's attributes and an initializer's numbers are kept: shapes, means, axes."""

_BYTES: Final = 2
_VARINT_BYTES: Final = 10
_MODEL_GRAPH, _MODEL_TRAINING, _MODEL_DOC = 7, 20, 6
_NODE, _INITIALIZER, _DOC, _SPARSE, _QUANTIZATION = 1, 5, 10, 15, 14
_NODE_ATTRIBUTE: Final = 5
_TENSOR_DATA: Final = frozenset({4, 5, 6, 7, 9, 10, 11})

Field = tuple[int, int, int, int]
"""Its number, where its tag begins, where its content begins, where it ends."""


class _Malformed(Exception):
    """The bytes are no protobuf message, or are cut off."""


def read_skeleton(path: Path) -> bytes:
    """Return the model's message without its weights.

    Raises:
        NotAModel: the file is empty, is no protobuf message or is cut off, or its structure is beyond all bounds.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        if path.stat().st_size == 0:
            raise NotAModel(f"{path} is empty")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped, memoryview(mapped) as view:
            try:
                return _Walk(view).model()
            except _Malformed as error:
                raise NotAModel(f"{path} is not an ONNX model, or is cut off: {error}") from error


class _Walk:
    """One walk over a file; it counts what it keeps."""

    def __init__(self, view: memoryview) -> None:
        self._view = view
        self._kept = 0
        self._fields = 0

    def model(self) -> bytes:
        parts: list[bytes] = []
        for field in self._walk(0, len(self._view)):
            if field[0] == _MODEL_GRAPH:
                parts.append(_tagged(_MODEL_GRAPH, self._graph(field)))
            elif field[0] not in (_MODEL_TRAINING, _MODEL_DOC):
                parts.append(self._whole(field))
        return b"".join(parts)

    def _graph(self, graph: Field) -> bytes:
        parts: list[bytes] = []
        for field in self._walk(graph[2], graph[3]):
            number, _, begin, end = field
            if number == _NODE and end - begin > MAX_NODE:
                parts.append(self._without(field, frozenset({_NODE_ATTRIBUTE})))
            elif number == _INITIALIZER and end - begin > MAX_INITIALIZER:
                parts.append(self._without(field, _TENSOR_DATA))
            elif number not in (_DOC, _SPARSE, _QUANTIZATION):
                parts.append(self._whole(field))
        return b"".join(parts)

    def _without(self, message: Field, dropped: frozenset[int]) -> bytes:
        kept = [self._whole(field) for field in self._walk(message[2], message[3]) if field[0] not in dropped]
        return _tagged(message[0], b"".join(kept))

    def _whole(self, field: Field) -> bytes:
        _, tag, _, end = field
        self._kept += end - tag
        if self._kept > MAX_SKELETON:
            raise _Malformed(f"without its weights it still has more than {MAX_SKELETON >> 20} MiB")
        return bytes(self._view[tag:end])

    def _walk(self, begin: int, end: int) -> Iterator[Field]:
        """Tell the fields of a message one after another."""
        at = begin
        while at < end:
            self._fields += 1
            if self._fields > MAX_FIELDS:
                raise _Malformed(f"it has more than {MAX_FIELDS} nodes, weights and shapes")
            tag = at
            key, at = self._varint(at, end)
            match key & 7:
                case 0:
                    content, (_, at) = at, self._varint(at, end)
                case 1:
                    content, at = at, at + 8
                case 2:
                    length, content = self._varint(at, end)
                    at = content + length
                case 5:
                    content, at = at, at + 4
                case kind:
                    raise _Malformed(f"byte {tag} begins no field (wire type {kind})")
            if key < 8:  # noqa: PLR2004  # the number stands above the three bits of the type
                raise _Malformed(f"the field at byte {tag} has no number")
            if at > end:
                raise _Malformed(f"the field at byte {tag} needs {at - end} bytes more than there are")
            yield key >> 3, tag, content, at

    def _varint(self, at: int, end: int) -> tuple[int, int]:
        value = 0
        for place in range(_VARINT_BYTES):
            if at + place >= end:
                raise _Malformed(f"it ends in the middle of a number, at byte {at}")
            byte = self._view[at + place]
            value |= (byte & 127) << (7 * place)
            if byte < 128:  # noqa: PLR2004  # the last byte of a number has its high bit clear
                return value, at + place + 1
        raise _Malformed(f"byte {at} begins no number")


def _tagged(number: int, content: bytes) -> bytes:
    """Return a field of bytes."""
    return _encoded(number << 3 | _BYTES) + _encoded(len(content)) + content


def _encoded(value: int) -> bytes:
    out = bytearray()
    while value > 127:  # noqa: PLR2004  # seven bits a byte
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)
