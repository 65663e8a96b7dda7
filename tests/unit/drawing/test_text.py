from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transformer.drawing.text import ELLIPSIS, MAX_LETTERS, font_of, legible, shorten


@pytest.mark.parametrize(
    ("label", "shown"),
    [
        ("traffic light", "traffic light"),
        ("Kaffeetasse für Gäste", "Kaffeetasse fur Gaste"),
        ("Straße", "Strasse"),
        ("smørrebrød", "smorrebrod"),
        ("a\nb\tc\x00", "a b c"),
        ("\N{FULLWIDTH LATIN CAPITAL LETTER A}", "A"),
        ("咖啡杯", "class 7"),
        ("cup 咖啡", "class 7"),
        ("☕", "class 7"),
        ("", "class 7"),
        (" \n", "class 7"),
    ],
)
def test_a_label_is_shown_in_letters_that_the_font_has(label: str, shown: str) -> None:
    assert legible(label, "class 7") == shown


@given(st.text(max_size=60))
def test_any_label_becomes_one_line_without_empty_boxes(label: str) -> None:
    font = font_of(20)
    missing = bytes(font.getmask("\uffff"))
    shown = legible(label, "class 7")
    assert shown.strip() == shown != ""
    assert all(letter == " " or bytes(font.getmask(letter)) != missing for letter in shown)


@given(st.text(st.sampled_from("abc il WM."), max_size=300), st.integers(20, 500), st.integers(12, 28))
def test_a_text_is_cut_to_the_width_that_there_is(text: str, width: int, size: int) -> None:
    font = font_of(size)
    shown = shorten(text, font, width)
    assert font.getlength(shown) <= width or shown == ELLIPSIS
    assert shown == text or (shown.endswith(ELLIPSIS) and text.startswith(shown.removesuffix(ELLIPSIS)))


def test_a_text_that_fits_is_not_cut() -> None:
    font = font_of(20)
    assert shorten("espresso", font, font.getlength("espresso")) == "espresso"


@pytest.mark.parametrize("letter", ["W", "é", "ﷺ"])
def test_of_a_text_without_end_only_the_beginning_is_looked_at(letter: str) -> None:
    assert len(legible(letter * 1_000_000, "class 7")) <= MAX_LETTERS
