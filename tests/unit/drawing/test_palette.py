from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transformer.drawing.palette import BLACK, PALETTE, WHITE, color_of, contrast, ink_on, luminance

READABLE = 4.5
"""The least contrast of text that WCAG 2.2 asks for (1.4.3)."""

colors = st.tuples(*[st.integers(0, 255)] * 3)


def test_contrast_is_that_of_the_standard() -> None:
    assert contrast(BLACK, WHITE) == contrast(WHITE, BLACK) == pytest.approx(21)
    assert contrast((118, 118, 118), WHITE) == pytest.approx(4.54, abs=0.005)  # the known darkest grey that passes
    assert luminance((255, 0, 0)) == pytest.approx(0.2126)


@given(colors)
def test_text_can_be_read_on_any_color(color: tuple[int, int, int]) -> None:
    assert contrast(ink_on(color), color) >= READABLE


@given(st.integers(0, 100_000))
def test_a_class_keeps_its_color(class_id: int) -> None:
    assert color_of(class_id) == color_of(class_id) == PALETTE[class_id % len(PALETTE)]


def test_no_color_is_there_twice() -> None:
    assert len(set(PALETTE)) == len(PALETTE) >= 20
