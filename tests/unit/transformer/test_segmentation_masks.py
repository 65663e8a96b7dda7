"""Masks over the original picture, and their forms."""

from __future__ import annotations

import io
from typing import Final

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, ImageDraw

from serving.contract.input import InputRules
from serving.decoders import Array
from transformer.masks import ClassGrid, LevelMask, Patch, Polygon, Sampling, encode_rle, outlines
from transformer.masks.polygons import OF_STEPS
from transformer.masks.rle import run_lengths
from transformer.pictures import Geometry, Prepared, place
from transformer.pictures.png import encode_bits_png, encode_levels_png, encode_map_png


def placed(width: int, height: int, **resize: object) -> Prepared:
    """A picture of that size as it lies in an input of 40 x 60."""
    rules = InputRules.model_validate({"height": 40, "width": 60, "resize": resize or {"rule": "stretch"}})
    placement = place(rules, width, height)
    pixels = np.zeros((placement.input_height, placement.input_width, 3), np.uint8)
    return Prepared(pixels, Geometry.of(width, height, placement))


def patch_of(mask: Array) -> Patch:
    height, width = mask.shape
    return Patch(mask.astype(np.bool_), 0, 0, width, height)


def disc(height: int, width: int, radius: float, hole: float = 0) -> Array:
    y, x = np.mgrid[:height, :width]
    distance = np.hypot(y - height / 2, x - width / 2)
    return np.asarray((distance < radius) & (distance >= hole))


def corner(row: int, column: int) -> Array:
    mask = np.zeros((3, 4))
    mask[row, column] = 1
    return mask


def columns(height: int, width: int, first: int, behind: int) -> Array:
    mask = np.zeros((height, width))
    mask[:, first:behind] = 1
    return mask


RLE: Final = {
    "nothing": (np.zeros((3, 4)), b"<"),
    "everything": (np.ones((3, 4)), b"0<"),
    "the first pixel": (corner(0, 0), b"01;"),
    "the last pixel": (corner(2, 3), b";1"),
    "whole columns": (columns(4, 5, 1, 3), b"488"),
    "half of a large picture": (columns(2000, 3000, 1500, 3000), b"Pfak2Pfak2"),
    "every other pixel": (np.indices((5, 6)).sum(axis=0) % 2 == 0, b"0110000000000000000000000000000"),
    "a disc": (
        np.pad(disc(60, 80, 20), ((0, 0), (0, 10))),
        b"TX1=]14L4M2M4M2N2O0O2N2O0O2O0O2O000000000000000000000001N101N101N2N101N2N3L3N3L4Lbg1",
    ),
}
"""What pycocotools 2.0.11 writes: ``mask.encode(np.asfortranarray(array))["counts"]``."""


@pytest.mark.parametrize("name", RLE)
def test_run_lengths_are_written_as_pycocotools_writes_them(name: str) -> None:
    mask, expected = RLE[name]

    assert encode_rle(patch_of(mask)) == expected
    assert encode_rle(patch_of(mask).cut()) == expected


@given(hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12)))
def test_run_lengths_say_every_pixel_column_by_column(mask: Array) -> None:
    lengths = run_lengths(patch_of(mask))

    assert (lengths[1:] > 0).all()
    assert np.repeat(np.arange(len(lengths)) % 2, lengths).tolist() == mask.T.ravel().tolist()
    assert encode_rle(patch_of(mask).cut()) == encode_rle(patch_of(mask))


@given(hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, max_side=20)))
def test_a_mask_of_one_bit_a_pixel_is_the_mask(mask: Array) -> None:
    patch = patch_of(mask).cut()

    png = Image.open(io.BytesIO(encode_bits_png(patch.bits(), patch.width)))

    assert (png.mode, png.size) == ("1", (mask.shape[1], mask.shape[0]))
    assert np.array_equal(np.asarray(png), mask)
    assert np.array_equal(patch.whole(), mask)
    assert patch.pixels == mask.sum()


def test_the_pixels_of_a_map_png_are_its_values() -> None:
    values = np.arange(256, dtype=np.uint8).reshape(8, 32)

    for encode in (encode_map_png, encode_levels_png):
        png = Image.open(io.BytesIO(encode(values)))
        assert png.mode == "L"
        assert np.array_equal(np.asarray(png), values)


PLACES: Final[dict[str, tuple[int, int, dict[str, object]]]] = {
    "larger": (300, 170, {"rule": "stretch"}),
    "smaller": (13, 7, {"rule": "stretch"}),
    "of the same size": (60, 40, {"rule": "stretch"}),
    "letterboxed": (100, 200, {"rule": "letterbox"}),
    "letterboxed at the top left": (90, 35, {"rule": "letterbox", "align": "top_left"}),
    "cropped": (200, 90, {"rule": "crop", "shorter_side": 60}),
    "a line": (600, 1, {"rule": "letterbox"}),
    "a column": (1, 600, {"rule": "stretch"}),
    "one pixel": (1, 1, {"rule": "letterbox"}),
    "a panorama": (2000, 100, {"rule": "crop", "shorter_side": 60}),
}


@pytest.mark.parametrize("shape", [(40, 60), (10, 15), (80, 120), (1, 1)], ids=str)
@pytest.mark.parametrize("name", PLACES)
def test_each_pixel_is_of_the_class_of_the_point_that_its_centre_is_in(name: str, shape: tuple[int, int]) -> None:
    width, height, resize = PLACES[name]
    picture = placed(width, height, **resize)
    values = np.random.default_rng(0).integers(0, 5, shape, np.uint8)
    geometry, (input_height, input_width, _) = picture.geometry, picture.pixels.shape

    grid = ClassGrid.of(values, picture)
    whole = grid.whole()

    expected = np.full((height, width), 255)
    for y in range(height):
        for x in range(0, width, 1 if width < 99 else 7):
            across = (x + 0.5) * geometry.scale_x + geometry.offset_x
            down = (y + 0.5) * geometry.scale_y + geometry.offset_y
            if 0 <= across < input_width and 0 <= down < input_height:
                expected[y, x] = values[int(down / input_height * shape[0]), int(across / input_width * shape[1])]
    looked_at = np.arange(0, width, 1 if width < 99 else 7)
    assert np.array_equal(whole[:, looked_at], expected[:, looked_at])
    assert grid.pixels == {c: n for c in range(5) if (n := int((whole == c).sum()))}
    for class_id in grid.pixels:
        patch = grid.mask(class_id).patch()
        assert np.array_equal(patch.whole(), whole == class_id)
        assert patch.cut().box == patch.box


@pytest.mark.parametrize("name", PLACES)
def test_levels_are_interpolated_between_the_points_of_the_map(name: str) -> None:
    width, height, resize = PLACES[name]
    picture = placed(width, height, **resize)
    # A plane, which a bilinear interpolation keeps but for the outer half points.
    values = np.add.outer(np.arange(40) * 3.0, np.arange(60) * 1.0).astype(np.float32)
    x, y = picture.geometry.centers()
    plane = np.add.outer((y - 0.5).clip(0, 39) * 3, (x - 0.5).clip(0, 59))
    seen = np.logical_and.outer((y >= 0) & (y < 40), (x >= 0) & (x < 60))

    mask = LevelMask(values, 80.0, Sampling.of(picture, values.shape), width, height)

    clear = np.abs(plane - 80) > 1e-3
    assert np.array_equal(mask.patch().whole()[clear] > 0, ((plane >= 80) & seen)[clear])
    assert np.abs(mask.levels() - np.where(seen, plane, 0)).max() <= 0.51


def test_a_box_cuts_at_the_pixels_whose_centres_are_in_it() -> None:
    picture = placed(60, 40)
    values = np.ones((40, 60), np.float32)
    sampling = Sampling.of(picture, values.shape)

    boxes = {
        (2.4, 3.6, 10.5, 20.51): (2, 4, 10, 21),
        (-5.0, -5.0, 1.0, 99.0): (0, 0, 1, 40),
        (4.6, 4.6, 5.4, 9.0): (0, 0, 0, 0),
        (70.0, 0.0, 90.0, 9.0): (0, 0, 0, 0),
    }

    for box, expected in boxes.items():
        assert LevelMask(values, 0.5, sampling.within(box), 60, 40).patch().box == expected


def drawn(polygons: list[Polygon], width: int, height: int, scale: int = 4) -> Array:
    """What polygons cover, 0..1 for each pixel."""
    ground = Image.new("L", (width * scale, height * scale))
    pen = ImageDraw.Draw(ground)
    for outer, *holes in polygons:
        for ring, ink in [(outer, 255), *[(hole, 0) for hole in holes]]:
            pen.polygon([(x * scale - 0.5, y * scale - 0.5) for x, y in ring.tolist()], fill=ink)
    return np.asarray(ground.resize((width, height), Image.Resampling.BOX)) / 255


SHAPES: Final = {
    "a disc": disc(120, 120, 40),
    "a ring": disc(120, 120, 50, hole=20),
    "a disc in a ring": disc(120, 120, 50, hole=30) | disc(120, 120, 15),
    "everything": np.ones((120, 120), np.bool_),
    "half": columns(120, 120, 60, 120) > 0,
    "two discs": np.concatenate([disc(120, 60, 25), disc(120, 60, 20)], axis=1),
}


@pytest.mark.parametrize("name", SHAPES)
def test_polygons_cover_what_the_mask_covers_and_leave_its_holes_open(name: str) -> None:
    mask = SHAPES[name]
    sampling = Sampling(0, 0, np.arange(0.5, 120), np.arange(0.5, 120))

    polygons = outlines(mask, 0.5, sampling, OF_STEPS)

    covered = drawn(polygons, 120, 120) > 0.5
    assert (covered & mask).sum() / (covered | mask).sum() > 0.97
    holes = {"a ring": 1, "a disc in a ring": 1}
    assert sum(len(polygon) - 1 for polygon in polygons) == holes.get(name, 0)
    assert sum(map(len, (ring for polygon in polygons for ring in polygon))) < 130


def test_polygons_are_in_pixels_of_the_original() -> None:
    picture = placed(300, 400, rule="letterbox")
    values = np.zeros((40, 60), np.uint8)
    values[10:30, 25:35] = 1

    grid = ClassGrid.of(values, picture)
    mask = grid.mask(1)

    [[ring]] = mask.polygons()
    box = mask.box
    assert box == (100, 100, 200, 300)
    np.testing.assert_allclose([*ring.min(axis=0), *ring.max(axis=0)], box, atol=1e-6)


def test_polygons_follow_levels_more_finely_than_the_map_is() -> None:
    picture = placed(600, 400)
    y, x = np.mgrid[:40, :60] + 0.5
    values = 255 * (0.5 + (12 - np.hypot(x - 30, y - 20)) / 20).clip(0, 1)

    [[ring]] = LevelMask(values, 127.5, Sampling.of(picture, values.shape), 600, 400).polygons()

    distances = np.hypot(ring[:, 0] - 300, ring[:, 1] - 200)
    assert np.abs(distances - 120).max() < 3


def test_single_points_have_no_outline() -> None:
    values = np.zeros((40, 60), np.uint8)
    values[::3, ::3] = 1
    sampling = Sampling.of(placed(60, 40), values.shape)

    assert outlines(values, 0.5, sampling, OF_STEPS) == []
    assert outlines(np.zeros((40, 60)), 0.5, sampling, OF_STEPS) == []
    assert outlines(values, 0.5, sampling.within((0, 0, 0, 0)), OF_STEPS) == []


@settings(max_examples=50)
@given(hnp.arrays(np.bool_, (12, 14)), st.integers(1, 60), st.integers(1, 60))
def test_no_corner_of_a_polygon_lies_outside_of_the_picture(mask: Array, width: int, height: int) -> None:
    sampling = Sampling.of(placed(width, height, rule="letterbox"), mask.shape)

    for ring in [ring for polygon in outlines(mask, 0.5, sampling, OF_STEPS) for ring in polygon]:
        assert len(ring) >= 3
        assert (ring >= 0).all()
        assert (ring <= [width, height]).all()
