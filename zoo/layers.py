"""The arithmetic of turning a trained network's layers into an inference graph's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
Float32: TypeAlias = NDArray[np.float32]


class BatchNorm(NamedTuple):
    """``(y - mean) / sqrt(variance + epsilon) * gamma + beta``, each array `[channels]`."""

    gamma: Array
    beta: Array
    mean: Array
    variance: Array
    epsilon: float


def fold(weight: Array, norm: BatchNorm) -> tuple[Float32, Float32]:
    """Return the weight `[out, in, k, k]` and bias `[out]` of a convolution that does what it and `norm` did.

    At inference a batch normalisation is linear in the convolution's output, so its factor goes into the weight and the
    rest becomes the bias: one operation for two, and no second pass over the pixels. Computed in float64, so that
    folding rounds once.
    """
    factor = norm.gamma.astype(np.float64) / np.sqrt(norm.variance.astype(np.float64) + norm.epsilon)
    bias = norm.beta - norm.mean * factor
    return (weight * factor[:, None, None, None]).astype(np.float32), bias.astype(np.float32)


def fold_named(weights: Mapping[str, Array], conv: str, norm: str, epsilon: float) -> tuple[Float32, Float32]:
    """Fold the convolution `conv` and the batch normalisation `norm` of a PyTorch state dict."""
    return fold(
        weights[f"{conv}.weight"],
        BatchNorm(
            gamma=weights[f"{norm}.weight"],
            beta=weights[f"{norm}.bias"],
            mean=weights[f"{norm}.running_mean"],
            variance=weights[f"{norm}.running_var"],
            epsilon=epsilon,
        ),
    )


def same_pads(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Return the zeros before and after an axis of `size` under TensorFlow's SAME rule.

    The output has ``ceil(size / stride)`` elements. Where the zeros are odd in number, the extra one goes *after*; a
    symmetric padding, PyTorch's habit, would shift such a convolution by a pixel.
    """
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2
