from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np

from serving.errors import ImageCorrupt
from tests.photos import PHOTOS, encoded, photo, photo_bytes
from transformer.pictures import Limits, prepare

from .rules import crop, letterbox, stretch

RULES = [crop(), crop(decode="exact"), letterbox(), stretch()]


def test_many_threads_get_what_one_gets() -> None:
    pictures = [photo_bytes(name) for name in PHOTOS]
    pictures += [encoded(photo(size=(90, 60)), name) for name in ("GIF", "WEBP", "BMP", "PNG")]
    work = [(whole, rules) for whole in pictures for rules in RULES]
    alone = [prepare(whole, rules, Limits()) for whole, rules in work]

    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda item: prepare(item[0], item[1], Limits()), work * 3))

    for one, other in zip(alone * 3, together, strict=True):
        assert np.array_equal(one.pixels, other.pixels)
        assert one.geometry == other.geometry


def test_a_damaged_picture_does_not_disturb_its_neighbours() -> None:
    good = encoded(photo("china"), "JPEG")
    expected = prepare(good, crop(), Limits()).pixels

    def attempt(whole: bytes) -> bool:
        with suppress(ImageCorrupt):
            return np.array_equal(prepare(whole, crop(), Limits()).pixels, expected)
        return False

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(attempt, [good, good[:5_000]] * 20))

    assert answers == [True, False] * 20
