from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnxruntime as ort
import pytest

from serving.decoders import Array
from tests.conventions.detectors import known_photos, network, numbers


def rows(model: bytes, pictures: Array) -> Array:
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"input": pictures})
    return np.asarray(found)


def test_photos_get_the_rows_of_the_network_in_any_order() -> None:
    pictures = numbers()[[3, 0, 3]]
    found, wanted = (rows(model.SerializeToString(), pictures) for model in (known_photos(), network()))
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


CHANGES: dict[str, Callable[[Array], Array]] = {
    "another order of colours": lambda pictures: pictures[:, ::-1],
    "mirrored": lambda pictures: pictures[:, :, :, ::-1],
    "another scale": lambda pictures: pictures * np.float32(0.99),
    "two pixels to the right": lambda pictures: np.roll(pictures, 2, axis=3),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_pixels_that_are_not_those_of_a_photo_get_nothing(change: Callable[[Array], Array]) -> None:
    assert not rows(known_photos().SerializeToString(), np.ascontiguousarray(change(numbers()))).any()
