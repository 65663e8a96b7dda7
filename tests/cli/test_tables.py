from __future__ import annotations

from typing import Any

import pytest
from rich.console import Console

from cli.tables import table_of

BOX = {"xmin": 166.6, "ymin": 13.6, "xmax": 411.0, "ymax": 288.2}
CLASSES = [{"label": "espresso", "class_id": 967, "score": 0.9511}, {"label": "cup", "class_id": 968, "score": 0.0321}]
BOXES = [{"label": "cup", "class_id": 41, "score": 0.943, "box": BOX}]
SEGMENTS = {"segments": [{"label": "cat", "class_id": 8, "share": 0.7812, "pixels": 100, "box": BOX}], "mask": {}}


def shown(predictions: Any) -> list[list[str]]:
    """The words of each line."""
    console = Console(width=120, highlight=False, markup=False)
    with console.capture() as captured:
        console.print(table_of(predictions))
    return [line.split() for line in captured.get().splitlines()]


def test_classes_have_a_score_and_a_bar() -> None:
    assert shown(CLASSES) == [
        ["label", "class", "score"],
        ["espresso", "967", "0.9511", "█" * 19],
        ["cup", "968", "0.0321", "█"],
    ]


@pytest.mark.parametrize("predictions", [BOXES, {"instances": BOXES}], ids=["detection", "instances"])
def test_boxes_have_their_corners(predictions: Any) -> None:
    assert shown(predictions)[1] == ["cup", "41", "0.9430", "167", "14", "411", "288"]


def test_segments_have_their_share() -> None:
    assert shown(SEGMENTS) == [["label", "class", "share"], ["cat", "8", "78.12%", "█" * 16]]


@pytest.mark.parametrize("predictions", [[], {"segments": []}])
def test_nothing_found_is_said(predictions: Any) -> None:
    assert shown(predictions) == [["nothing", "was", "found"]]


def test_a_vector_is_shown_as_far_as_it_says_something() -> None:
    lines = shown({"embedding": [0.125] * 1000})
    assert lines[0][:2] == ['{"embedding":', "[0.125,"]
    assert sum(len(" ".join(line)) for line in lines) < 500


def test_labels_are_not_read_as_markup() -> None:
    assert shown([{"label": "[bold]cup[/bold]", "class_id": 1, "score": 0.5}])[1][0] == "[bold]cup[/bold]"
