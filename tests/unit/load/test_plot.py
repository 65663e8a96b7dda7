from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from load.plot import COLORS, HEIGHT, WHITE, WIDTH, Line, Plot, axis_of, draw, number, save

LINE = Line("p50", ((10.0, 20.0), (50.0, 40.0), (90.0, 80.0)), ("1 client", "8 clients", "32 clients"))


def plot(*lines: Line, bound: tuple[str, float] | None = None) -> Plot:
    return Plot("A title", "answers a second", "latency, ms", lines, bound)


@given(st.lists(st.floats(min_value=1e-3, max_value=1e7), min_size=1, max_size=20), st.booleans())
def test_every_value_has_its_place_between_ticks_that_are_few(values: list[float], logarithmic: bool) -> None:  # noqa: FBT001
    axis = axis_of(values, may_be_logarithmic=logarithmic)

    assert all(0 <= axis.place(value) <= 1 for value in values)
    assert axis.place(axis.ticks[0]) == pytest.approx(0, abs=1e-9)
    assert axis.place(axis.ticks[-1]) == pytest.approx(1)
    assert 2 <= len(axis.ticks) <= 40
    assert list(axis.ticks) == sorted(set(axis.ticks))


def test_an_axis_is_logarithmic_where_its_values_are_far_apart() -> None:
    assert axis_of([10, 2000], may_be_logarithmic=True).ticks == (10, 20, 50, 100, 200, 500, 1000, 2000)
    assert axis_of([10, 50], may_be_logarithmic=True).ticks == (0, 10, 20, 30, 40, 50, 60)
    assert axis_of([10, 2000], may_be_logarithmic=False).ticks[0] == 0


def test_a_value_of_nothing_has_a_place_too() -> None:
    assert axis_of([0.0], may_be_logarithmic=True).place(0.0) == 0
    assert axis_of([0.0, 1.0, 1000.0], may_be_logarithmic=True).place(0.0) == 0


def test_each_line_is_drawn_in_a_color_of_its_own(tmp_path: Path) -> None:
    other = Line("p99", ((10.0, 30.0), (90.0, 400.0)), is_dashed=True)
    save(plot(LINE, other, bound=("p99 of 100 ms", 100.0)), tmp_path / "plot.png")

    with Image.open(tmp_path / "plot.png") as image:
        assert (image.format, image.size) == ("PNG", (WIDTH, HEIGHT))
        pixels = np.asarray(image.convert("RGB"))
    assert all(_count(pixels, color) > 100 for color in COLORS[:2])
    assert _count(pixels, COLORS[2]) == 0


def test_a_point_is_where_its_values_say() -> None:
    """One in the middle of both axes, which end at 100."""
    picture = np.asarray(draw(plot(Line("p", ((50.0, 50.0), (98.0, 98.0))))))
    blue = np.argwhere((picture == COLORS[0]).all(axis=-1))
    from_left, from_top = 78 + (WIDTH - 28 - 78) / 2, 64 + (HEIGHT - 96 - 64) / 2

    assert (np.abs(blue - (from_top, from_left)).sum(axis=1) < 2).any()


def test_the_margins_stay_white() -> None:
    picture = np.asarray(draw(plot(LINE)))

    assert (picture[:10] == WHITE).all()
    assert (picture[:, -4:] == WHITE).all()


def test_a_plot_without_points_is_refused() -> None:
    with pytest.raises(ValueError, match="no points"):
        draw(plot(Line("p50", ())))


def _count(pixels: NDArray[np.uint8], color: tuple[int, int, int]) -> int:
    """How many pixels have about a color: edges are smoothed."""
    return int((np.abs(pixels.astype(int) - color).sum(axis=-1) < 40).sum())


@pytest.mark.parametrize(("value", "shown"), [(0, "0"), (2.5, "2.5"), (150.0, "150"), (20000, "20,000")])
def test_ticks_are_written_as_people_do(value: float, shown: str) -> None:
    assert number(value) == shown


def test_a_line_may_share_the_color_of_the_one_before_and_without_a_name_it_is_in_no_legend() -> None:
    other = Line("", ((10.0, 30.0), (90.0, 400.0)), shares_color=True)

    alone, both = (np.asarray(draw(plot(*lines)).convert("RGB")) for lines in ((LINE,), (LINE, other)))

    assert _count(both, COLORS[0]) > _count(alone, COLORS[0])
    assert _count(both, COLORS[1]) == 0
    assert np.array_equal(alone[-40:], both[-40:])


def test_a_legend_that_is_too_long_goes_on_in_a_second_row() -> None:
    lines = [Line(f"{color} by a name that is longer than others", ((10.0, 20.0), (50.0, 40.0))) for color in range(4)]

    pixels = np.asarray(draw(plot(*lines)).convert("RGB"))

    rows = [np.nonzero(np.abs(pixels[-60:].astype(int) - color).sum(axis=-1) < 40)[0] for color in COLORS[:4]]
    assert all(map(len, rows))
    assert rows[0].max() < rows[3].min()
