"""The plain reference: Pillow, NumPy and the unmodified model, each step as a notebook would write it."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from PIL import Image, ImageOps


@cache
def _session(model: Path) -> ort.InferenceSession:
    return ort.InferenceSession(str(model), providers=["CPUExecutionProvider"])


def reference(model: Path, encoded: bytes) -> NDArray[np.float32]:
    """The 1000 probabilities of one picture."""
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(encoded))).convert("RGB")
    short = 256 / min(image.size)
    whole = image.resize((int(image.width * short + 1e-9), int(image.height * short + 1e-9)), Image.Resampling.BICUBIC)
    left, top = round((whole.width - 224) / 2), round((whole.height - 224) / 2)
    pixels = np.asarray(whole.crop((left, top, left + 224, top + 224)), dtype=np.float32)
    tensor = ((pixels - 127) / 128).transpose(2, 0, 1)[None]
    logits = _session(model).run(None, {"input": tensor})[0][0]
    powers = np.exp(logits - logits.max())
    probabilities: NDArray[np.float32] = powers / powers.sum()
    return probabilities
