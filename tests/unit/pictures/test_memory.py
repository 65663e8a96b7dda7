"""What a picture takes of memory is what its header was said to take."""

from __future__ import annotations

import multiprocessing
import re
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing.pool import Pool
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from serving.contract import InputRules
from serving.errors import ImageTooLarge
from tests.photos import encoded, photo
from transformer.drawing import ClassMap, Drawing, render
from transformer.pictures import Limits, prepare, return_large_pictures

from .bombs import webp_of_many_codes
from .rules import crop, letterbox, shortest_edge, stretch

SIZE = (3000, 2000)
PIXELS = SIZE[0] * SIZE[1]
MIB = 2**20
SLACK = 4 * MIB
"""What Python and the decoders take beside pixels."""
LIMITS = Limits(max_bytes=100 * MIB, formats=frozenset({"JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF"}))
TURNED = Image.Exif()
TURNED[0x0112] = 6

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the peak is told by Linux")


def picture(mode: str = "RGB") -> Image.Image:
    """A large picture of few bytes."""
    return photo("coffee").resize(SIZE, Image.Resampling.NEAREST).convert(mode)


def sixteen_bits() -> Image.Image:
    return Image.fromarray(np.asarray(picture("L")).astype(np.uint16) * 257)


def see_through() -> Image.Image:
    image = picture("RGBA")
    image.putalpha(picture("L"))
    return image


def noise(mode: str) -> Image.Image:
    """A picture that no encoder makes small."""
    samples = np.random.default_rng(0).integers(0, 256, (SIZE[1], SIZE[0], len(mode)), dtype=np.uint8)
    return Image.fromarray(samples, mode)


def bmp_of_32_bits(*, has_fields: bool) -> bytes:
    """What Windows writes without alpha, or with fields that say where it is."""
    method, fields = (3, struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)) if has_fields else (0, bytes(16))
    header = struct.pack("<IiiHHIIiiII", 56, *SIZE, 1, 32, method, 0, 0, 0, 0, 0) + fields
    return b"BM" + struct.pack("<IHHI", 0, 0, 0, 14 + len(header)) + header + bytes(4 * PIXELS)


png = partial(encoded, picture_format="PNG", compress_level=1)
jpeg = partial(encoded, picture_format="JPEG")
webp = partial(encoded, picture_format="WEBP", method=0)

PICTURES: dict[str, tuple[Callable[[], bytes], float]] = {
    "PNG": (lambda: png(picture()), 4),
    "PNG, turned": (lambda: png(picture(), exif=TURNED), 8),
    "PNG, alpha": (lambda: png(picture("RGBA")), 8),
    "PNG, alpha, turned": (lambda: png(picture("RGBA"), exif=TURNED), 8),
    "PNG, grey": (lambda: png(picture("L")), 1),
    "PNG, grey, turned": (lambda: png(picture("L"), exif=TURNED), 2),
    "PNG, grey, alpha": (lambda: png(picture("LA")), 5),
    "PNG, grey, 16 bits": (lambda: png(sixteen_bits()), 8),
    "PNG, black and white": (lambda: png(picture("1")), 2),
    "PNG, palette": (lambda: png(picture().quantize(64)), 5),
    "JPEG": (lambda: jpeg(picture()), 4),
    "JPEG, turned": (lambda: jpeg(picture(), exif=TURNED), 8),
    "JPEG, grey": (lambda: jpeg(picture("L")), 1),
    "JPEG, progressive": (lambda: jpeg(picture(), progressive=True), 7),
    "JPEG, progressive, all colors": (lambda: jpeg(picture(), progressive=True, subsampling=0), 10),
    "JPEG, progressive, grey": (lambda: jpeg(picture("L"), progressive=True), 3),
    "JPEG, CMYK": (lambda: jpeg(picture("CMYK")), 8),
    "WebP": (lambda: webp(picture()), 16),
    "WebP, alpha": (lambda: webp(see_through()), 16),
    "WebP, lossless": (lambda: webp(picture(), lossless=True, quality=0), 16),
    "WebP, lossless, alpha": (lambda: webp(see_through(), lossless=True, quality=0), 16),
    "WebP, noise, alpha": (lambda: webp(noise("RGBA")), 17),
    "WebP, noise, lossless, alpha": (lambda: webp(noise("RGBA"), lossless=True, quality=0), 16),
    "BMP": (lambda: encoded(picture(), "BMP"), 4),
    "BMP, 32 bits": (lambda: bmp_of_32_bits(has_fields=False), 4),
    "BMP, alpha": (lambda: bmp_of_32_bits(has_fields=True), 8),
    "BMP, grey": (lambda: encoded(picture("L"), "BMP"), 1),
    "BMP, black and white": (lambda: encoded(picture("1"), "BMP"), 2),
    "BMP, palette": (lambda: encoded(picture().quantize(64), "BMP"), 5),
    "GIF": (lambda: encoded(picture().quantize(64), "GIF"), 5),
    "GIF, cleared": (lambda: encoded(picture().quantize(64), "GIF", disposal=2, transparency=3), 5),
}
"""Each with the bytes of memory that a pixel takes at least."""


@pytest.fixture(scope="module")
def children() -> Iterator[Pool]:
    """Processes for one picture each, that have nothing else in memory."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["transformer.pictures", "transformer.drawing", "tests.photos"])
    with context.Pool(1, maxtasksperchild=1) as pool:
        yield pool


def status(name: str) -> int:
    """A number of bytes out of this process' status."""
    return 1024 * int(re.findall(rf"^{name}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)[0])


class Held:
    """Notes what is held."""

    size = 0

    @contextmanager
    def __call__(self, size: int) -> Iterator[None]:
        self.size = size
        yield


def held_and_taken(whole: bytes, rules: InputRules | None) -> tuple[int, int]:
    """The bytes that were said to be taken, and the most that were; with no rules, by a drawing."""
    return_large_pictures()
    held = Held()
    before = status("VmRSS")
    if rules is not None:
        prepare(whole, rules, LIMITS, held)
    else:
        render(whole, LIMITS, Drawing(class_map=ClassMap(np.arange(256, dtype=np.uint8).reshape(16, 16))), hold=held)
    return held.size, status("VmHWM") - before


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_takes_what_was_held_for_it(name: str, children: Pool) -> None:
    make, least = PICTURES[name]

    held, taken = children.apply(held_and_taken, (make(), crop(decode="exact")))

    assert least * PIXELS < taken < held + SLACK
    assert held < 1.25 * taken + SLACK


@pytest.mark.parametrize("container", ["plain", "transforms", "alpha", "animation", "frames"])
def test_prefix_codes_take_no_more_than_was_held_for_them(container: str, children: Pool) -> None:
    side = 512
    whole = webp_of_many_codes(side, container)

    held, taken = children.apply(held_and_taken, (whole, crop()))

    assert len(whole) < 100_000
    assert 5000 * (side // 4) ** 2 < taken < held + SLACK < 3 * taken


@pytest.mark.parametrize("strip", [2**16, 2**30], ids=["strips", "one strip"])
def test_a_tiff_takes_no_more_than_was_held_for_it(strip: int, children: Pool) -> None:
    whole = encoded(picture("RGBA"), "TIFF", compression="tiff_lzw", strip_size=strip)

    held, taken = children.apply(held_and_taken, (whole, crop(decode="exact")))

    assert 4 * PIXELS < taken < held + SLACK


@pytest.mark.parametrize(
    ("options", "least"),
    [({}, 0), ({"progressive": True}, 3), ({"exif": TURNED}, 0)],
    ids=["", "progressive", "turned"],
)
def test_a_scaled_jpeg_takes_its_own_pixels_and_the_coefficients_of_all(
    options: dict[str, Any], least: float, children: Pool
) -> None:
    held, taken = children.apply(held_and_taken, (jpeg(picture(), **options), crop()))

    assert least * PIXELS < taken < held + SLACK < (least + 1) * PIXELS + SLACK


RULES = {
    "letterbox": letterbox(height=1280, width=1280, decode="exact"),
    "crop, exact": crop(1000, height=900, width=900, decode="exact"),
    "crop, scaled": crop(1000, height=900, width=900),
    "shortest edge": shortest_edge(800, 1333, decode="exact"),
    "enlarged": letterbox(height=4096, width=4096, decode="exact"),
    "nearest of few": stretch("opencv_nearest", height=64, width=64),
    **{name: stretch(f"opencv_{name}", height=640, width=640) for name in ("nearest", "linear", "cubic", "area")},
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("size", [SIZE, (60_000, 100), (100, 60_000)], ids=["", "wide", "high"])
def test_to_resize_takes_no_more_than_was_held(size: tuple[int, int], rule: str, children: Pool) -> None:
    whole = png(picture().resize(size, Image.Resampling.NEAREST))

    held, taken = children.apply(held_and_taken, (whole, RULES[rule]))

    assert taken < held + SLACK


@pytest.mark.parametrize("size", [SIZE, (6000, 1500), (300, 200)])
def test_to_draw_takes_no_more_than_was_held(size: tuple[int, int], children: Pool) -> None:
    whole = png(picture().resize(size))

    held, taken = children.apply(held_and_taken, (whole, None))

    assert taken < held + SLACK


def kept_by_threads(whole: bytes, count: int) -> int:
    """The bytes that are left in memory when each of `count` threads has prepared a picture, one after the other."""
    return_large_pictures()
    before, barrier = status("VmRSS"), threading.Barrier(count)

    def work(lock: threading.Lock) -> None:
        barrier.wait()
        for _ in range(2):
            with lock:
                prepare(whole, crop(), LIMITS)

    with ThreadPoolExecutor(count) as pool:
        list(pool.map(work, [threading.Lock()] * count))
        return status("VmRSS") - before


def test_threads_keep_nothing_of_the_pictures_that_they_have_decoded(children: Pool) -> None:
    whole = png(picture().resize((3200, 2200), Image.Resampling.NEAREST))

    assert children.apply(kept_by_threads, (whole, 8)) < 8 * 3200 * 2200 * 4 / 2


@pytest.mark.parametrize("rules", [crop(), crop(decode="exact")], ids=["scaled", "exact"])
def test_a_picture_that_takes_more_than_it_may_is_refused_before_anything_is_held(rules: InputRules) -> None:
    whole, held = webp(photo("chelsea")), Held()
    width, height = photo("chelsea").size
    needed = 16 * width * height + 2 * len(whole)

    with pytest.raises(
        ImageTooLarge, match=r"takes \d+ bytes of memory: at most \d+ are allowed \(MAX_DECODE_MB\)"
    ) as refused:
        prepare(whole, rules, Limits(max_memory=needed - 1), held)

    assert refused.value.details == {"unit": "bytes of memory", "limit": needed - 1, "found": needed}
    assert held.size == 0
    assert prepare(whole, rules, Limits(max_memory=needed), held).geometry.width == width
    assert held.size == needed


def test_a_picture_that_takes_more_than_it_may_is_not_drawn_on() -> None:
    with pytest.raises(ImageTooLarge, match="bytes of memory"):
        render(png(photo()), Limits(max_memory=1000), Drawing())
