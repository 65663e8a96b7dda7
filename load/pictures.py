"""Sample pictures, for those who have none at hand.

They are clouds: noise whose amplitude falls with the frequency, as that of photographs does (Field, "Relations between
the statistics of natural images and the response properties of cortical cells", 1987). A JPEG of one has about the
bytes, and takes about the time to decode, of a photograph of its size: 170 to 210 KB, where photographs had 150 to 270.
"""

from __future__ import annotations

import io
from typing import Final

import numpy as np
from PIL import Image

WIDTH: Final = 1280
HEIGHT: Final = 853
ROWS: Final = 864
"""Rows that are made: a Fourier transform of 853, which is prime, takes twice as long."""
QUALITY: Final = 90
FALLOFF: Final = 1.6
"""The power of the frequency that amplitudes fall by: 1.4 makes JPEGs half again as large, 1.8 a third smaller."""
CONTRAST: Final = 48.0
"""The standard deviation of a color's values, of 255."""
GRAY_SHARE: Final = 0.8
"""How much of a color's picture all three share: photographs have little color."""

Clouds = np.ndarray[tuple[int, int], np.dtype[np.float64]]


def sample_pictures(count: int) -> list[bytes]:
    """Return `count` JPEGs of 1280x853 pixels, at quality 90; the same ones each time."""
    return [_jpeg(np.random.default_rng(number)) for number in range(count)]


def _jpeg(chance: np.random.Generator) -> bytes:
    gray = _clouds(chance)
    colors = [GRAY_SHARE * gray + (1 - GRAY_SHARE) * _clouds(chance) for _ in range(3)]
    pixels = np.stack([128 + CONTRAST * color / color.std() for color in colors], axis=-1)
    encoded = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8), "RGB").save(encoded, "JPEG", quality=QUALITY)
    return encoded.getvalue()


def _clouds(chance: np.random.Generator) -> Clouds:
    """Return noise `[HEIGHT, WIDTH]` whose amplitudes fall with the frequency."""
    noise = np.fft.rfft2(chance.standard_normal((ROWS, WIDTH)))
    frequency = np.hypot(np.fft.fftfreq(ROWS)[:, None], np.fft.rfftfreq(WIDTH)[None])
    frequency[0, 0] = np.inf  # the mean
    clouds: Clouds = np.fft.irfft2(noise / frequency**FALLOFF, s=(ROWS, WIDTH))
    return clouds[:HEIGHT]
