"""A graph as a session reads it: a file with the structure, and one with the weights, which are mapped and not read.

As bytes, a graph is in memory four times while a session is made: in Python's objects, as bytes, as ONNX Runtime's
objects, and in the form that its kernels want; and ONNX Runtime keeps the bytes for as long as the session lives. From
files it is there once. For 18 MB of weights that is 30 MB less at the peak.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

import onnx
from onnx import TensorProto

from predictor.engines.folder import OwnFolder
from serving.log import get_logger

logger = get_logger(__name__)

APART_FROM: Final = 1024
"""Bytes from which on a tensor is put into the file of weights; smaller ones are mostly shapes and axes."""
ALIGNMENT: Final = 64
"""A tensor begins at a multiple of so many bytes, as ONNX Runtime's own allocations do."""

_GRAPH: Final = "model.onnx"
_WEIGHTS: Final = "weights"


@dataclass(frozen=True, slots=True)
class GraphInput:
    """An input of a graph; free axes are None."""

    name: str
    shape: tuple[int | None, ...]


class StoredGraph:
    """A graph in a folder of its own, or, where there is no room for one, in memory. Leaving it deletes the folder:
    sessions that were made of it keep what they need.

    `path` is where its own file lies: weights that the model keeps in files of their own lie beside that.
    """

    def __init__(
        self, source: str | bytes, path: Path, inputs: tuple[GraphInput, ...], folder: OwnFolder | None = None
    ) -> None:
        self.source = source
        self.path = path
        self.inputs = inputs
        self._folder = folder

    def digest(self) -> str:
        """Return the SHA-256 of the graph and its weights, in hexadecimal; weights beside it by size and time."""
        digest = hashlib.sha256()
        if isinstance(self.source, bytes):
            digest.update(self.source)
            for path in sorted(self.path.parent.iterdir()):
                status = path.stat()
                digest.update(f"{path.name}\0{status.st_size}\0{status.st_mtime_ns}\0".encode())
        else:
            for path in sorted(Path(self.source).parent.iterdir()):
                with path.open("rb") as file:
                    digest.update(hashlib.file_digest(file, "sha256").digest())
        return digest.hexdigest()

    def __enter__(self) -> Self:
        """Return the graph itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Delete the folder."""
        if self._folder is not None:
            self._folder.delete()


def store(model: onnx.ModelProto, path: Path) -> StoredGraph:
    """Write a graph, whose own file lies (or would lie) at `path`, for a session to read. Its weights are taken out of
    `model`, which is of no use any more.
    """
    inputs = tuple(_inputs(model.graph))
    # Weights that the model itself keeps apart lie in another folder, and a session knows one.
    folder = None if any(map(_is_apart, _tensors(model.graph))) else _written(model)
    if folder is None:
        return StoredGraph(model.SerializeToString(), path, inputs)
    return StoredGraph(str(folder.path / _GRAPH), path, inputs, folder)


def _written(model: onnx.ModelProto) -> OwnFolder | None:
    """Move a graph into a new folder, and return that; where it has no room, the graph is as it was."""
    try:
        with ExitStack() as undo:
            folder = OwnFolder()
            undo.callback(folder.delete)
            _move_weights(model.graph, folder.path / _WEIGHTS)
            undo.callback(onnx.load_external_data_for_model, model, str(folder.path))
            (folder.path / _GRAPH).write_bytes(model.SerializeToString())
            undo.pop_all()
    except OSError as error:
        logger.warning("graph kept in memory", reason=str(error))
        return None
    return folder


def _move_weights(graph: onnx.GraphProto, path: Path) -> None:
    """Move the weights into a file."""
    large = [tensor for tensor in graph.initializer if len(tensor.raw_data) >= APART_FROM]
    with path.open("wb") as file:
        offsets = [_append(file, tensor.raw_data) for tensor in large]
    for tensor, offset in zip(large, offsets, strict=True):
        _refer(tensor, offset)


def _append(file: IO[bytes], data: bytes) -> int:
    offset = -(-file.tell() // ALIGNMENT) * ALIGNMENT
    file.seek(offset)
    file.write(data)
    return offset


def _refer(tensor: TensorProto, offset: int) -> None:
    """Let a tensor say where its bytes lie, instead of holding them."""
    length = len(tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", _WEIGHTS), ("offset", str(offset)), ("length", str(length))):
        tensor.external_data.add(key=key, value=value)


def _is_apart(tensor: TensorProto) -> bool:
    return bool(tensor.data_location == TensorProto.EXTERNAL)


def _tensors(graph: onnx.GraphProto) -> Iterator[TensorProto]:
    """Yield the tensors of a graph and of those inside its nodes."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
            for inner in (attribute.g, *attribute.graphs):
                yield from _tensors(inner)


def _inputs(graph: onnx.GraphProto) -> Iterator[GraphInput]:
    weights = {tensor.name for tensor in graph.initializer}
    for value in graph.input:
        if value.name not in weights:
            sizes = (dimension.dim_value for dimension in value.type.tensor_type.shape.dim)
            yield GraphInput(value.name, tuple(size if size > 0 else None for size in sizes))
