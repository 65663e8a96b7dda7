"""Reading an ONNX file."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import onnx
from google.protobuf.message import DecodeError

from serving.errors import ModelLoadFailed

Graph = onnx.ModelProto
"""A model as it stands in a file."""

ZIP: Final = b"PK\x03\x04"


def read_graph(path: Path) -> onnx.ModelProto:
    """Read an ONNX file; weights that it keeps in files beside it stay there.

    Raises:
        ModelLoadFailed: the file is missing, or is no ONNX model.
    """
    try:
        model = onnx.load(path, load_external_data=False)
    except FileNotFoundError as error:
        raise ModelLoadFailed(f"{path} does not exist: model.file in model.yaml names the ONNX file") from error
    except (OSError, DecodeError, ValueError) as error:
        raise ModelLoadFailed(f"{path} is not an ONNX model, or is cut off{_hint(path)}: {error}") from error
    if not model.graph.node:
        raise ModelLoadFailed(f"{path} is not an ONNX model: it holds no graph{_hint(path)}")
    return model


def _hint(path: Path) -> str:
    """Say what a file is that is often taken for a model."""
    try:
        with path.open("rb") as file:
            is_zip = file.read(len(ZIP)) == ZIP
    except OSError:  # a folder, say
        is_zip = False
    return " (it is a zip, as torch.save writes; export the network with torch.onnx.export)" if is_zip else ""


def opset_of(model: onnx.ModelProto) -> int:
    """Return the version of ONNX's own operators that the graph is written in; 0 where it names none."""
    return next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 0)
