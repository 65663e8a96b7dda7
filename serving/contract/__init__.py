"""The model contract, `model.yaml`: how a picture becomes a tensor, and a tensor an answer."""

from serving.contract.directory import ModelDirectory, load_model_directory
from serving.contract.schema import (
    PIXELS,
    Batching,
    ColorOrder,
    Contract,
    CropResize,
    Datatype,
    DecodeMode,
    InputRules,
    Interpolation,
    Layout,
    LetterboxResize,
    ModelInfo,
    Normalize,
    OutputRules,
    Resize,
    StretchResize,
)

__all__ = [
    "PIXELS",
    "Batching",
    "ColorOrder",
    "Contract",
    "CropResize",
    "Datatype",
    "DecodeMode",
    "InputRules",
    "Interpolation",
    "Layout",
    "LetterboxResize",
    "ModelDirectory",
    "ModelInfo",
    "Normalize",
    "OutputRules",
    "Resize",
    "StretchResize",
    "load_model_directory",
]
