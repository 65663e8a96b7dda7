"""Padding and folding against the definitions they come from."""

import numpy as np
import pytest

from zoo.layers import BatchNorm, fold, same_pads


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "pads"),
    [(224, 3, 2, (0, 1)), (112, 5, 2, (1, 2)), (14, 5, 1, (2, 2)), (7, 1, 1, (0, 0)), (225, 3, 2, (1, 1))],
)
def test_an_odd_row_of_padding_goes_after_the_picture(
    size: int, kernel: int, stride: int, pads: tuple[int, int]
) -> None:
    assert same_pads(size, kernel, stride) == pads
    assert (size + sum(pads) - kernel) // stride + 1 == -(-size // stride)


def test_a_folded_convolution_gives_what_convolution_and_normalisation_gave() -> None:
    random = np.random.default_rng(0)
    weight = random.normal(size=(4, 3, 1, 1)).astype(np.float32)
    gamma, beta, mean, variance = random.uniform(0.1, 2, size=(4, 4)).astype(np.float32)
    norm = BatchNorm(gamma, beta, mean, variance, epsilon=1e-3)
    pixels = random.normal(size=(3, 10)).astype(np.float32)

    y = weight[:, :, 0, 0] @ pixels
    expected = (y - norm.mean[:, None]) / np.sqrt(norm.variance[:, None] + norm.epsilon)
    expected = expected * norm.gamma[:, None] + norm.beta[:, None]

    folded, bias = fold(weight, norm)
    assert folded.dtype == bias.dtype == np.float32
    np.testing.assert_allclose(folded[:, :, 0, 0] @ pixels + bias[:, None], expected, rtol=1e-4, atol=1e-5)
