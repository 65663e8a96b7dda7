"""The fourth step, for a predictor whose graph does not do it: from pixels to numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from serving.contract.input import LARGEST, SMALLEST_DIVISOR, ColorOrder, Datatype, InputRules, Layout, Normalize

_CHANNELS = 3


def to_model_input(
    pixels: NDArray[np.uint8], rules: InputRules
) -> NDArray[np.float32] | NDArray[np.float16] | NDArray[np.uint8]:
    """Return the tensor of the model's input, C-contiguous, in the layout and datatype of `rules`.

    `pixels` is [n, H, W, 3] uint8, RGB. The steps, in float32 and in this order: red and blue change places for `bgr`;
    times `scale`, or over the picture's largest value; minus `mean`; over `std`; and for FP16 a rounding at the end.
    A UINT8 input takes pixels as they are, and nothing is normalised.
    """
    ordered = pixels[..., ::-1] if rules.color is ColorOrder.BGR else pixels
    match rules.datatype:
        case Datatype.UINT8:
            return np.ascontiguousarray(ordered if rules.layout is Layout.NHWC else ordered.transpose(0, 3, 1, 2))
        case Datatype.FP32:
            return _computed(ordered, rules)
        case Datatype.FP16:
            return _looked_up(ordered, rules)


def _computed(pixels: NDArray[np.uint8], rules: InputRules) -> NDArray[np.float32]:
    """Normalise in one buffer: three vectorised passes, faster than a table for float32."""
    mean, std = _per_channel(rules.normalize)
    if rules.layout is Layout.NCHW:
        source = pixels.transpose(0, 3, 1, 2)
        mean, std = mean[:, None, None], std[:, None, None]
    else:
        # Rows, with the constants repeated along them: NumPy's inner loop would else be three numbers long.
        count, height, width, _ = pixels.shape
        source = pixels.reshape(count, height, width * _CHANNELS)
        mean, std = np.tile(mean, width), np.tile(std, width)
    out = np.empty(source.shape, np.float32)
    if rules.normalize.scale == LARGEST:
        largest = _largest(pixels)
        np.divide(source, largest.reshape(-1, *[1] * (source.ndim - 1)), out=out, dtype=np.float32)
    else:
        np.multiply(source, np.float32(rules.normalize.scale), out=out, dtype=np.float32)
    out -= mean
    out /= std
    return out if rules.layout is Layout.NCHW else out.reshape(pixels.shape)


def _looked_up(pixels: NDArray[np.uint8], rules: InputRules) -> NDArray[np.float16]:
    """Normalise by a table of the 256 pixels: half the time of rounding every number to float16, and the same bits."""
    count, height, width, _ = pixels.shape
    planar = rules.layout is Layout.NCHW
    out = np.empty((count, _CHANNELS, height, width) if planar else pixels.shape, np.float16)
    for picture, numbers, tables in zip(pixels, out, _tables(pixels, rules.normalize), strict=True):
        for channel, table in enumerate(tables):
            if planar:
                np.take(table, picture[..., channel], out=numbers[channel], mode="clip")
            else:
                numbers[..., channel] = table[picture[..., channel]]
    return out


def _tables(pixels: NDArray[np.uint8], normalize: Normalize) -> NDArray[np.float16]:
    """Return [n, 3, 256] float16: for each picture and channel, what becomes of each value of a pixel."""
    mean, std = _per_channel(normalize)
    values = np.arange(256, dtype=np.float32)
    with np.errstate(over="ignore"):  # of values that no pixel of the picture has
        if normalize.scale == LARGEST:
            scaled = values / _largest(pixels)[:, None, None]
        else:
            scaled = np.broadcast_to(values * np.float32(normalize.scale), (len(pixels), 1, 256))
        return ((scaled - mean[:, None]) / std[:, None]).astype(np.float16)


def _largest(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the largest value of each picture, [n], over its pixels and channels."""
    largest = pixels.max(axis=(1, 2, 3), initial=0).astype(np.float32)
    return np.asarray(np.maximum(largest, np.float32(SMALLEST_DIVISOR)))


def _per_channel(normalize: Normalize) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return `mean` and `std`, [3] float32 each; one number speaks for all channels."""
    mean, std = np.array(normalize.mean, np.float32), np.array(normalize.std, np.float32)
    return np.broadcast_to(mean, _CHANNELS), np.broadcast_to(std, _CHANNELS)
