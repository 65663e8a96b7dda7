from __future__ import annotations

import numpy as np
import pytest

from tests.photos import photo
from transformer.drawing import Drawing, Entry, draw
from transformer.drawing.frame import MARGIN
from transformer.drawing.palette import WHITE, color_of, contrast
from transformer.drawing.panel import BAR, MUTED, TROUGH

from .pictures import LIMITS, has_color, photo_png, pixels

SIZE = (600, 400)


def panel(*entries: Entry, size: tuple[int, int] = SIZE) -> np.ndarray:
    """The pixels below the picture."""
    return pixels(photo_png("coffee", size), Drawing(entries=entries))[size[1] :]


def test_the_picture_above_the_panel_is_unchanged() -> None:
    drawn = pixels(photo_png("coffee", SIZE), Drawing(entries=(Entry("espresso", "0.95", 0.95),)))
    assert drawn.shape[0] > SIZE[1]
    assert np.array_equal(drawn[: SIZE[1]], np.asarray(photo("coffee", SIZE)))


def test_a_drawing_without_entries_has_no_panel() -> None:
    assert draw(photo_png("coffee", SIZE), LIMITS, Drawing()).size == SIZE


def test_the_words_can_be_read() -> None:
    assert contrast(WHITE, MARGIN) >= 4.5
    assert contrast(MUTED, MARGIN) >= 4.5
    shown = panel(Entry("HHHH"))
    assert has_color(shown, WHITE).any()
    assert has_color(shown, MARGIN).any()


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 1.0])
def test_a_bar_is_as_long_as_the_share(share: float) -> None:
    whole = has_color(panel(Entry("cup", share=1.0)), BAR).any(axis=0).sum()
    shown = has_color(panel(Entry("cup", share=share)), BAR).any(axis=0).sum()
    assert shown == pytest.approx(whole * share, abs=1.5)


def test_the_bar_of_a_whole_fills_its_trough() -> None:
    assert has_color(panel(Entry("cup", share=0.5)), TROUGH).any()
    assert not has_color(panel(Entry("cup", share=1.0)), TROUGH).any()


def test_an_entry_of_a_legend_shows_the_color_of_its_class() -> None:
    assert has_color(panel(Entry("cup", class_id=4)), color_of(4)).any()


def test_more_entries_than_there_is_room_for_are_counted() -> None:
    many = panel(*[Entry(f"class {number}", class_id=number) for number in range(500)])
    assert len(many) < 400


@pytest.mark.parametrize("size", [(451, 300), (320, 900), (1280, 853)])
def test_long_words_stay_on_the_panel(size: tuple[int, int]) -> None:
    shown = panel(Entry("a very long name of a class " * 20, "0.12345", 0.5, 3), Entry("cup"), size=size)
    assert has_color(shown[:, -3:], MARGIN).all()
    assert has_color(shown[:, :3], MARGIN).all()


def test_a_name_in_another_script_is_shown_by_its_number() -> None:
    assert np.array_equal(panel(Entry("咖啡", class_id=7)), panel(Entry("class 7", class_id=7)))
