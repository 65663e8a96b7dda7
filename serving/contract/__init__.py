"""The model contract, `model.yaml`: how a picture becomes a tensor, and a tensor an answer."""

from serving.contract.directory import ModelDirectory, load_model_directory
from serving.contract.files import CONTRACT_FILE
from serving.contract.input import (
    LARGEST,
    PIXELS,
    SMALLEST_DIVISOR,
    ColorOrder,
    CropResize,
    Datatype,
    DecodeMode,
    InputRules,
    Interpolation,
    Layout,
    LetterboxResize,
    Normalize,
    Resize,
    ShortestEdgeResize,
    SizeOrder,
    StretchResize,
)
from serving.contract.schema import Batching, Contract, EngineName, ModelInfo, Precision, Runtime
from serving.decoders import OutputRules

__all__ = [
    "CONTRACT_FILE",
    "LARGEST",
    "PIXELS",
    "SMALLEST_DIVISOR",
    "Batching",
    "ColorOrder",
    "Contract",
    "CropResize",
    "Datatype",
    "DecodeMode",
    "EngineName",
    "InputRules",
    "Interpolation",
    "Layout",
    "LetterboxResize",
    "ModelDirectory",
    "ModelInfo",
    "Normalize",
    "OutputRules",
    "Precision",
    "Resize",
    "Runtime",
    "ShortestEdgeResize",
    "SizeOrder",
    "StretchResize",
    "load_model_directory",
]
