"""A picture of nothing in particular, to warm the path with."""

from __future__ import annotations

import io

from PIL import Image

from serving.contract.input import InputRules


def sample_jpeg(rules: InputRules) -> bytes:
    """Return a JPEG of noise, twice as large as the model's largest input."""
    encoded = io.BytesIO()
    height, width = rules.largest_size
    Image.effect_noise((2 * width, 2 * height), 64).convert("RGB").save(encoded, "JPEG")
    return encoded.getvalue()
