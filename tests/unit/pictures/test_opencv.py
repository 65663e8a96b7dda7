from __future__ import annotations

import io
from hashlib import sha256

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from serving.contract import Interpolation
from tests.photos import encoded, every_picture, photo
from transformer.pictures import Limits, prepare
from transformer.pictures.opencv import resample

from .rules import crop, letterbox, shortest_edge, stretch

OPENCV = [
    Interpolation.OPENCV_NEAREST,
    Interpolation.OPENCV_LINEAR,
    Interpolation.OPENCV_CUBIC,
    Interpolation.OPENCV_AREA,
]
DIGESTS: dict[tuple[str, tuple[int, int]], tuple[str | None, ...]] = {
    ("coffee", (304, 171)): ("501e9acd", "a1d0a1db", "a91faac2", "8e77744a"),
    ("coffee", (304, 200)): ("02a4524b", "10f9d431", "41f30bc7", "406ee249"),
    ("coffee", (296, 133)): ("6db30efc", "ab1145d2", "6959f358", "5579dccd"),
    ("coffee", (200, 100)): ("cb5983be", "49498ea6", "82c4c096", "b894e5b0"),
    ("coffee", (600, 133)): ("d7082f65", "be76be56", "31368ec8", "3f0efe8d"),
    ("coffee", (640, 640)): ("ccb44cb5", "f019930a", "3a5da9ea", "4321977d"),
    ("coffee", (904, 100)): ("f3473739", "ad2c3837", "c923f2b7", "36f84006"),
    ("coffee", (64, 48)): ("ef4a1123", "8638484c", "fb596700", "fd954bef"),
    ("coffee", (8, 1)): ("477f9c3d", "1cd5d1f2", "762e4856", "6d8cb4f3"),
    ("coffee", (1, 8)): ("8a670d2c", "8031b247", None, "1a9d59e9"),
    ("coffee", (600, 400)): ("0ce2b516", "0ce2b516", "0ce2b516", "0ce2b516"),
    ("coffee", (1200, 800)): ("6c101cdc", "681389d5", "44174198", "6c101cdc"),
    ("camera", (256, 256)): ("df120496", "5c0eab9e", "b9bf18fb", "5c0eab9e"),
    ("camera", (128, 64)): ("f7270960", "b2276439", "eda6e1b3", "2e8a746e"),
    ("camera", (640, 427)): ("f692ffd5", "21f8676a", "6c9769bd", "3a03f386"),
    ("camera", (333, 77)): ("b3e1bb50", "b032ac64", None, "fe413846"),
    ("camera", (16, 600)): ("b2e79231", "91f362cd", "00691402", "f41e9ff6"),
    ("camera", (512, 512)): ("5cb24482", "5cb24482", "5cb24482", "5cb24482"),
}
"""SHA-256 of what OpenCV makes of a photograph, its first 8 hex digits, in the order of `OPENCV`.

Made by `cv2.resize(picture, size, interpolation=...)` of opencv-python-headless 5.0.0.93 on x86-64, after
`cv2.ipp.setUseIPP(False)`; 4.10.0.84 and 4.12.0.88 give the same. Rows of cubic are of whole groups of 8
samples, behind which OpenCV rounds otherwise.
"""


def image_of(name: str) -> Image.Image:
    """A photograph as it is stored, in color or grey."""
    return Image.open(io.BytesIO(every_picture()[f"{name}.png"]))


def resized(image: Image.Image, size: tuple[int, int], interpolation: Interpolation) -> NDArray[np.uint8]:
    return resample(image, size, (0, 0, *size), (0, 0, *image.size), interpolation)


CASES = [
    (*case, interpolation, digest)
    for case, digests in DIGESTS.items()
    for interpolation, digest in zip(OPENCV, digests, strict=True)
    if digest is not None
]


@pytest.mark.parametrize(("name", "size", "interpolation", "digest"), CASES)
def test_a_resized_photograph_is_opencvs_to_the_last_bit(
    name: str, size: tuple[int, int], interpolation: Interpolation, digest: str
) -> None:
    out = resized(image_of(name), size, interpolation)

    assert out.shape[:2] == size[::-1]
    assert sha256(out.tobytes()).hexdigest()[:8] == digest


@pytest.mark.parametrize("interpolation", OPENCV)
@pytest.mark.parametrize("size", [(304, 171), (640, 640), (300, 200), (904, 100)])
def test_a_part_is_cut_from_the_whole(size: tuple[int, int], interpolation: Interpolation) -> None:
    image = image_of("coffee")
    left, top, right, bottom = size[0] // 3, size[1] // 5, size[0] - 7, size[1] - 11

    part = resample(image, size, (left, top, right, bottom), (0.0, 0.0, 600.0, 400.0), interpolation)

    assert np.array_equal(part, resized(image, size, interpolation)[top:bottom, left:right])


@pytest.mark.parametrize("interpolation", OPENCV)
def test_a_crop_equals_the_plain_steps(interpolation: str) -> None:
    wanted = crop(shorter_side=256, interpolation=interpolation, decode="exact")

    prepared = prepare(encoded(photo("coffee"), "PNG"), wanted, Limits())

    whole = resized(photo("coffee"), (384, 256), Interpolation(interpolation))
    assert np.array_equal(prepared.pixels, whole[16:240, 80:304])


@pytest.mark.parametrize("interpolation", OPENCV)
def test_a_letterbox_equals_the_plain_steps(interpolation: str) -> None:
    wanted = letterbox(color=(1, 2, 3), interpolation=interpolation, decode="exact")

    prepared = prepare(encoded(photo("coffee"), "PNG"), wanted, Limits())

    expected = np.full((224, 224, 3), (1, 2, 3), np.uint8)
    expected[37:186] = resized(photo("coffee"), (224, 149), Interpolation(interpolation))
    assert np.array_equal(prepared.pixels, expected)


@pytest.mark.parametrize("interpolation", OPENCV)
def test_a_grey_picture_gives_the_pixels_that_it_would_as_rgb(interpolation: str) -> None:
    grey = photo().convert("L")
    wanted = letterbox(color=(1, 2, 3), interpolation=interpolation)

    one, three = (prepare(encoded(image, "PNG"), wanted, Limits()).pixels for image in (grey, grey.convert("RGB")))

    assert np.array_equal(one, three)


@pytest.mark.parametrize("interpolation", [*OPENCV[1:]])
@pytest.mark.parametrize("name", ["china", "flower", "rocket"])
def test_a_jpeg_that_was_decoded_to_scale_is_not_shifted(name: str, interpolation: str) -> None:
    whole = encoded(photo(name, (1283, 855)), "JPEG", quality=90)
    smooth = prepare(whole, stretch("bilinear", decode="exact"), Limits()).pixels.astype(int)

    scaled = prepare(whole, stretch(interpolation), Limits()).pixels.astype(int)

    def apart(right: int, down: int) -> float:
        moved = np.roll(scaled, (down, right), axis=(0, 1))
        return float(np.abs(moved - smooth)[2:-2, 2:-2].mean())

    offsets = [(right, down) for right in (-1, 0, 1) for down in (-1, 0, 1)]
    assert min(offsets, key=lambda offset: apart(*offset)) == (0, 0)
    assert np.isclose(apart(-1, 0), apart(1, 0), rtol=0.25)
    assert np.isclose(apart(0, -1), apart(0, 1), rtol=0.25)


@pytest.mark.parametrize("interpolation", OPENCV)
@pytest.mark.parametrize("size", [(1, 1), (1, 60_000), (60_000, 1), (8_000, 400), (2, 3)])
def test_very_thin_pictures_are_resized(size: tuple[int, int], interpolation: str) -> None:
    image = Image.linear_gradient("L").resize(size)
    darkest, lightest = image.getextrema()

    for wanted in ((224, 224), (1, 24), (64, 1)):
        out = resized(image, wanted, Interpolation(interpolation))
        assert out.shape == wanted[::-1]
        assert darkest <= out.min() <= out.max() <= lightest or interpolation is Interpolation.OPENCV_CUBIC


@pytest.mark.parametrize("interpolation", OPENCV)
@pytest.mark.parametrize("value", [0, 1, 127, 254, 255])
def test_a_picture_of_one_color_keeps_it(value: int, interpolation: Interpolation) -> None:
    image = Image.new("RGB", (83, 57), (value, value, value))

    for size in ((31, 40), (200, 113), (90, 20), (41, 57)):
        assert (resized(image, size, interpolation) == value).all()


@pytest.mark.parametrize("interpolation", OPENCV)
def test_the_pixels_of_a_rule_that_follows_the_picture_are_those_of_its_size(interpolation: str) -> None:
    wanted = shortest_edge(shorter_side=200, longer_side=310, interpolation=interpolation, decode="exact")

    prepared = prepare(encoded(photo("coffee"), "PNG"), wanted, Limits())

    expected = resized(photo("coffee"), (300, 200), Interpolation(interpolation))
    assert np.array_equal(prepared.pixels, expected)
