"""Predictions as tables, for people at a terminal."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from textwrap import shorten
from typing import Any, Final

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

BAR_WIDTH: Final = 20
MAX_JSON: Final = 400
LISTS: Final = ("segments", "instances")
"""Where an answer that is more than a list has it."""
CORNERS: Final = ("xmin", "ymin", "xmax", "ymax")


def table_of(predictions: Any) -> RenderableType:
    """Return one picture's predictions, those of `/predict`: a table of classes, boxes or shares.

    What is none of these is shown as JSON, of which the beginning says enough.
    """
    rows = predictions
    if isinstance(predictions, Mapping):
        rows = next((predictions[key] for key in LISTS if key in predictions), predictions)
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) and "label" in row for row in rows):
        return Text(shorten(json.dumps(predictions, ensure_ascii=False), MAX_JSON, placeholder=" ..."))
    if not rows:
        return Text("nothing was found")
    if "score" not in rows[0]:
        return _shares(rows)
    return _boxes(rows) if "box" in rows[0] else _classes(rows)


def _classes(rows: Sequence[Mapping[str, Any]]) -> Table:
    table = Table("label", "class", "score", box=None)
    for row in rows:
        table.add_row(Text(row["label"]), str(row["class_id"]), f"{row['score']:.4f} {_bar(row['score'])}")
    return table


def _boxes(rows: Sequence[Mapping[str, Any]]) -> Table:
    table = Table("label", "class", "score", box=None)
    for corner in CORNERS:
        table.add_column(corner, justify="right")
    for row in rows:
        corners = [f"{row['box'][corner]:.0f}" for corner in CORNERS]
        table.add_row(Text(row["label"]), str(row["class_id"]), f"{row['score']:.4f}", *corners)
    return table


def _shares(rows: Sequence[Mapping[str, Any]]) -> Table:
    table = Table("label", "class", "share", box=None)
    for row in rows:
        table.add_row(Text(row["label"]), str(row["class_id"]), f"{row['share']:7.2%} {_bar(row['share'])}")
    return table


def _bar(share: float) -> str:
    return "█" * round(share * BAR_WIDTH)
