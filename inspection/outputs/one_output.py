"""Recognising detectors that give all in one output: boxes with their scores, in rows or in columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from inspection.evidence import Sure
from inspection.graph import Value
from inspection.outputs.grids import ANCHORS, cells
from inspection.outputs.reading import Reading, Scene

_BOX: Final = 4
_FEW: Final = 1000
"""Rows up to which a graph has chosen; grids have thousands."""
_FINISHED: Final = 6
"""Columns of a finished box: four sides, score, class."""
_EFFICIENT_DET: Final = (100, 7)
"""Rows and columns of google/automl's EfficientDet: picture, top, left, bottom, right, score, class."""
_LEAST: Final = 6
"""Columns of a box, an objectness and one class."""
_COCO: Final = (80, 90, 91)
_RTDETR_HEAD: Final = "RTDETRDecoder"
_MEANINGS: Final[Mapping[str, str]] = {
    "yolov5": "each row is a box, an objectness and the class scores (YOLOv3 to v7)",
    "yolov8": "each box has class scores and no objectness (YOLOv8, v9, 11, 12)",
    "yolox": "as yolov5, in cells of its grids (YOLOX)",
    "yolov10": "finished boxes: four sides, score, class",
}


class OneOutput:
    """An output of rank 3, and the ways to read it."""

    def __init__(self, scene: Scene, value: Value) -> None:
        self._scene = scene
        self._value = value
        self._grid = cells(scene.size)

    def readings(self) -> Iterator[Reading]:
        """Tell the ways to read it."""
        first, last = self._value.size(1), self._value.size(2)
        if self._scene.size is not None and (first, last) == self._scene.size:
            return  # a map of the input's size, such as depth
        if last == _FINISHED and self._is_finished(first):
            yield self._finished()
        elif (first, last) == _EFFICIENT_DET:
            return
        elif last is not None and last >= _LEAST and (first is None or first > last):
            yield from self._in_rows(first, last)
        elif first is not None and first > _BOX and (last is None or last > first):
            yield from self._in_columns(first, last)

    def _finished(self) -> Reading:
        if not self._is_rtdetr():
            return self._reading("yolov10", ": four sides, score, class", None, sure=True)
        said = ": centre and size in shares, score, class, as Ultralytics' RT-DETR from 8.4 on"
        return self._reading("yolov10", said, None, sure=True, box_format="center", box_unit="normalized")

    def _is_rtdetr(self) -> bool:
        """Whether it is Ultralytics' RT-DETR: by its metadata's `head`, or by deformable attention."""
        if "ultralytics" not in self._scene.dossier.families:
            return False
        return self._scene.dossier.architecture == _RTDETR_HEAD or "GridSample" in self._scene.graph.operators

    def _is_finished(self, rows: int | None) -> bool:
        """Whether rows of six columns are finished boxes, and not a box, an objectness and the score of one class."""
        if rows is None:
            chosen = {"NonMaxSuppression", "TopK"} & self._scene.graph.operators
            return bool(chosen) or self._scene.classes != 1
        return rows <= _FEW and rows not in self._grid and rows / ANCHORS not in self._grid

    def _in_rows(self, rows: int | None, columns: int) -> Iterator[Reading]:
        classes, plain = columns - _BOX - 1, columns - _BOX
        each, rest = divmod(rows or 0, ANCHORS)
        if not rest and each in self._grid:
            yield self._reading(
                "yolov5", f": three boxes for each cell of strides {self._strides(each)}", classes, sure=True
            )
            return
        objectness = self._has_objectness(columns)
        sure = objectness is not None
        said = ""
        if rows in self._grid:
            said = f": one box for each cell of strides {self._strides(rows)}"
        elif sure:
            said = f": a box, {'an objectness, ' if objectness else ''}{classes if objectness else plain} classes"
        if rows is not None and rows <= _FEW and rows not in self._grid and objectness is False:
            said = f": {rows} queries, each a box in shares and {plain} scores, as Ultralytics' RT-DETR"
            yield self._reading("yolov8", said, plain, sure=True, transposed=True, box_unit="normalized", nms=None)
            return
        if objectness is not False:
            yield (
                self._one_a_cell(said, classes, rows, sure=sure)
                if rows in self._grid
                else self._reading("yolov5", said, classes, sure=sure)
            )
        if objectness is not True:
            yield self._without_objectness(f"{said}, without an objectness", plain, sure=sure)

    def _without_objectness(self, said: str, classes: int, *, sure: bool) -> Reading:
        """Tell PP-YOLOE, whose boxes are corners, from a YOLOv8 that was turned."""
        scene = self._scene
        if "paddle_detection" in scene.dossier.families or scene.is_of_paddle:
            said += ", with boxes of corners, as PaddleDetection's"
            reading = self._reading("yolov8", said, classes, sure=sure, transposed=True, box_format="corners")
            return replace(reading, family="paddle")
        asks = () if "ultralytics" in scene.dossier.families else ("box_format",)
        return replace(self._reading("yolov8", said, classes, sure=sure, transposed=True), asks=asks)

    def _in_columns(self, columns: int, rows: int | None) -> Iterator[Reading]:
        classes = columns - _BOX
        if self._scene.sure_classes not in (None, classes):
            return
        sure = rows in self._grid or self._scene.classes == classes or "ultralytics" in self._scene.dossier.families
        reading = self._reading("yolov8", f": a box and {classes} classes in columns", classes, sure=sure)
        yield reading if sure else replace(reading, sure=Sure.OPEN)

    def _has_objectness(self, columns: int) -> bool | None:
        """Whether the columns are one more than a box and the classes; None where nobody says how many those are."""
        classes = self._scene.classes
        if classes in (columns - _BOX - 1, columns - _BOX):
            return classes == columns - _BOX - 1
        if columns - _BOX - 1 in _COCO:
            return True
        return False if columns - _BOX in _COCO else None

    def _one_a_cell(self, said: str, classes: int, rows: int | None, *, sure: bool) -> Reading:
        """Tell YOLOX, which transposes last and may leave its boxes in cells, from YOLOv6, which joins boxes last."""
        decoded = "Exp" in self._scene.graph.operators
        tail = self._scene.graph.tails.get(self._value.name, ())
        last = next((operator for operator in tail if operator != "Identity"), "")
        if not decoded and last == "Concat":
            return self._reading("yolov5", f"{said}, joined last as YOLOv6's", classes, sure=sure)
        strides = self._grid.get(rows or 0, ())
        output: dict[str, Any] = {"decoded": True} if decoded else {}
        if strides != (8, 16, 32):
            output["strides"] = list(strides)
        how = "decoded by an Exp inside" if decoded else "which no Exp inside decodes"
        return self._reading("yolox", f"{said}, {how}", classes, sure=sure, **output)

    def _reading(self, decoder: str, said: str, classes: int | None, *, sure: bool, **output: Any) -> Reading:
        return Reading(
            "detection",
            decoder,
            Sure.DERIVED if sure else Sure.GUESSED,
            f"the output {self._value}{said}",
            self._scene.tensor(self._value) | output,
            classes,
            (self._value.name,),
            _MEANINGS[decoder],
        )

    def _strides(self, cells_: int | None) -> str:
        return "/".join(map(str, self._grid[cells_ or 0]))
