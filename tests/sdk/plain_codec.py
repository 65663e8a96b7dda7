"""The SDK's own reading of tensors, in this process."""

from __future__ import annotations

import serving.sdk  # noqa: F401  # first: the SDK's import reads the command line, which is pytest's here

# isort: split
from kserve import InferRequest, InferResponse

__all__ = ["InferRequest", "InferResponse"]
