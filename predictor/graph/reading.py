"""Reading an ONNX file."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import onnx
from google.protobuf.message import DecodeError

from serving.errors import ModelLoadFailed

Graph = onnx.ModelProto
"""A model as it stands in a file."""

AXES_AS_INPUT: Final = 18
"""The opset from which on reductions take their axes as an input, and no longer as an attribute."""

ZIP: Final = b"PK\x03\x04"


def read_graph(path: Path) -> onnx.ModelProto:
    """Read an ONNX file; weights that it keeps in files beside it stay there.

    Raises:
        ModelLoadFailed: the file is missing, or is no ONNX model.
    """
    if path.is_fifo():  # which would be waited for, and the models behind this one with it
        raise ModelLoadFailed(f"{path} is a pipe, and not an ONNX model")
    try:
        model = onnx.load(path, load_external_data=False)
    except FileNotFoundError as error:
        raise ModelLoadFailed(f"{path} does not exist: model.file in model.yaml names the ONNX file") from error
    except (OSError, DecodeError, ValueError) as error:
        raise ModelLoadFailed(f"{path} is not an ONNX model, or is cut off{_hint(path)}: {error}") from error
    if not model.graph.node:
        raise ModelLoadFailed(f"{path} is not an ONNX model: it holds no graph{_hint(path)}")
    _drop_unread_inputs(model.graph)
    return model


def _drop_unread_inputs(graph: onnx.GraphProto) -> None:
    """Take out inputs that no node reads, which Keras' exports have, and which a run would have to be given."""
    read = _names_read(graph) | {value.name for value in graph.output}
    unread = [value for value in graph.input if value.name not in read]
    for value in unread if len(unread) < len(graph.input) else []:
        graph.input.remove(value)


def _names_read(graph: onnx.GraphProto) -> set[str]:
    inner = (sub for node in graph.node for each in node.attribute for sub in (each.g, *each.graphs))
    return {name for node in graph.node for name in node.input}.union(*map(_names_read, inner))


def _hint(path: Path) -> str:
    """Say what a file is that is often taken for a model."""
    try:
        with path.open("rb") as file:
            is_zip = file.read(len(ZIP)) == ZIP
    except OSError:  # a folder, say
        is_zip = False
    return " (it is a zip, as torch.save writes; export the network with torch.onnx.export)" if is_zip else ""


def size_of(dimension: onnx.TensorShapeProto.Dimension) -> int | None:
    """Return the size of an axis; None where it is free, which some exporters write as 0 or -1."""
    return dimension.dim_value if dimension.dim_value > 0 else None


def opset_of(model: onnx.ModelProto) -> int:
    """Return the version of ONNX's own operators that the graph is written in; 0 where it names none."""
    return next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 0)
