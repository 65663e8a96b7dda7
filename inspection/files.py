"""What a file is that was given in a model's place."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from inspection.errors import NotAModel

_HEAD: Final = 64
_EXPORT: Final = "export the network with torch.onnx.export"
_TF: Final = "convert it with tf2onnx (python -m tf2onnx.convert)"

_MAGIC: Final[tuple[tuple[int, bytes, str], ...]] = (
    (0, b"version https://git-lfs", "a pointer of Git LFS, not the model itself: run `git lfs pull`"),
    (0, b"PK\x03\x04", f"a zip, as torch.save and Keras 3 write: {_EXPORT}, or with tf2onnx for Keras"),
    (0, b"\x89HDF", f"an HDF5 file, as Keras writes: {_TF}"),
    (4, b"TFL3", "a TensorFlow Lite model: convert it with tf2onnx (python -m tf2onnx.convert --tflite)"),
    (4, b"ORTM", "in ONNX Runtime's own .ort format: give the .onnx file that it was made from"),
    (0, b"\x1f\x8b", "compressed with gzip: unpack it first"),
    (0, b"GGUF", "a GGUF file, a language model's: kserve-vision serves vision models"),
    (0, b"ftrt", "a TensorRT engine: give the .onnx file that it was built from"),
    (0, b"\x80\x02", f"a pickle, as old versions of torch.save write: {_EXPORT}"),
    (0, b"\x80\x04", f"a pickle: {_EXPORT}"),
    (0, b"\x93NUMPY", "a NumPy array"),
    (0, b"\xff\xd8\xff", "a picture (JPEG): give the model, and the picture with --try"),
    (0, b"\x89PNG", "a picture (PNG): give the model, and the picture with --try"),
)
_SUFFIXES: Final = {
    ".pt": f"a PyTorch checkpoint: {_EXPORT}",
    ".pth": f"a PyTorch checkpoint: {_EXPORT}",
    ".safetensors": f"weights without a network: {_EXPORT}",
    ".pb": f"a TensorFlow graph: {_TF}",
    ".pdmodel": "a PaddlePaddle model: convert it with paddle2onnx",
    ".pdiparams": "PaddlePaddle's weights: convert the model with paddle2onnx",
    ".xml": "an OpenVINO model: give the .onnx file that it was made from",
    ".engine": "a TensorRT engine: give the .onnx file that it was built from",
    ".plan": "a TensorRT engine: give the .onnx file that it was built from",
}


def find_model(path: Path) -> Path:
    """Return the ONNX file that `path` is, or the only one in the folder that it is.

    Raises:
        NotAModel: it is not there, or a folder with none or several.
    """
    if path.is_dir():
        return _only_one(path)
    if not path.exists():
        raise NotAModel(f"{path} does not exist: give an ONNX file, or the folder that holds one")
    if not path.is_file():
        raise NotAModel(f"{path} is no file: give an ONNX file, or the folder that holds one")
    return path


def kind_of(path: Path) -> str:
    """Say what a file is that is no ONNX model, as the end of a sentence; empty where that cannot be seen."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    for offset, magic, kind in _MAGIC:
        if head[offset:].startswith(magic):
            return kind
    start = head.lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "a web page: the download gave a page in the model's place"
    if head[8:9] == b"{" and b"\x00\x00" in head[:8]:
        return _SUFFIXES[".safetensors"]
    if start.startswith(b"{"):
        return "JSON: an ONNX model is a protobuf message"
    return _SUFFIXES.get(path.suffix.lower(), "")


def _only_one(folder: Path) -> Path:
    models = sorted(folder.glob("*.onnx"))
    if len(models) == 1:
        return models[0]
    if (folder / "saved_model.pb").exists():
        raise NotAModel(f"{folder} is a TensorFlow SavedModel: convert it with tf2onnx (python -m tf2onnx.convert)")
    inner = sorted(path.relative_to(folder) for path in folder.glob("onnx/*.onnx"))
    if not models and inner:
        raise NotAModel(f"{folder} holds its models in a folder of its own: give one of {_listed(inner)}")
    if not models:
        raise NotAModel(f"{folder} holds no .onnx file")
    raise NotAModel(
        f"{folder} holds several models: give one of {_listed([path.relative_to(folder) for path in models])}"
    )


def _listed(paths: list[Path]) -> str:
    return ", ".join(str(path) for path in paths[:8])
