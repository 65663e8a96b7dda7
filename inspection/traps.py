"""What surprises people who serve a model that was exported by somebody else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from inspection.arithmetic import arithmetic_of
from inspection.evidence import Dossier, Sure
from inspection.graph import Graph, missing_files
from inspection.licences import duty
from inspection.outputs import Reading
from inspection.picture_input import PictureInput

_OLDEST, _OLDEST_OUTPUT, _NEWEST = 7, 11, 25
_LISTED: Final = 5
_NEEDS_NMS: Final = ("yolov5", "yolov8", "yolox", "ssd", "yolov8_seg", "yolov5_seg")
_OF_BOXES: Final = ("detection", "instance_segmentation")
_FINDS_ONCE: Final = ("detr", "rtdetr")
"""Decoders of models that are trained to find each object once."""
_FINISHED: Final = ("yolov10", "yolo26_seg")
"""Decoders of such models, and of others whose NMS is inside."""


def traps(graph: Graph, dossier: Dossier, picture: PictureInput, reading: Reading) -> Iterator[str]:
    """Tell them, the gravest first."""
    yield from _files(graph)
    yield from _licence(dossier)
    yield from _opset(graph)
    yield from _input(graph, picture)
    yield from _outputs(graph, dossier, reading)


def _files(graph: Graph) -> Iterator[str]:
    missing = missing_files(graph)
    if missing:
        listed = ", ".join(repr(name[:80]) for name in missing[:_LISTED])
        yield (
            f"the weights lie in {listed}, which is not beside the model: it cannot be loaded until "
            "that file is there, under this name"
        )


def _licence(dossier: Dossier) -> Iterator[str]:
    found = dossier.find("model.license")
    if found is None:
        if "yolov5" in dossier.families:
            yield (
                "no licence found; YOLOv5's is AGPL-3.0, by which who serves the model over a network must offer its "
                "users the source of the whole service"
            )
        else:
            yield "no licence found: make sure that you may serve the model, and write it down with --license"
        return
    asked = duty(str(found.value))
    if asked:
        yield f"the licence is {found.value} ({found.source}): {asked}"


def _opset(graph: Graph) -> Iterator[str]:
    if graph.opset < _OLDEST:
        yield (
            f"opset {graph.opset} is older than {_OLDEST}, so the normalisation cannot be compiled into the graph: "
            "export with a later one, or serve with FUSE_INPUT=false"
        )
    elif graph.opset < _OLDEST_OUTPUT:
        yield (
            f"opset {graph.opset} is older than {_OLDEST_OUTPUT}, so the outputs cannot be reduced in the graph, and "
            "all of their numbers cross the wire"
        )
    elif graph.opset > _NEWEST:
        yield f"opset {graph.opset} is newer than {_NEWEST}: make sure that your ONNX Runtime knows it"
    if graph.domains:
        named = ", ".join(domain[:60] for domain in graph.domains[:_LISTED])
        yield f"the graph has operators of {named}, which plain ONNX Runtime does not know"


def _input(graph: Graph, picture: PictureInput) -> Iterator[str]:
    value = picture.value
    if picture.batch:
        yield (
            f"the batch is fixed at {picture.batch}: many requests are served all the same, and each run takes "
            f"{picture.batch}; an export with a free batch uses a GPU better"
        )
    if value.datatype == "FP16":
        yield "the input is FP16: a CPU runs such a graph slowly, or not at all; a GPU gladly"
    affine = arithmetic_of(graph.heads.get(value.name, ()))
    if affine is not None:
        yield f"the graph begins with {affine}: do not normalise once more"


def _outputs(graph: Graph, dossier: Dossier, reading: Reading) -> Iterator[str]:
    unused = [value.name for value in graph.outputs if value.name not in reading.used]
    if unused and reading.used:
        listed = ", ".join(repr(name[:60]) for name in unused[:_LISTED])
        more = "" if len(unused) <= _LISTED else f" and {len(unused) - _LISTED} more"
        verb = "is" if len(unused) == 1 else "are"
        yield f"of {len(graph.outputs)} outputs {len(unused)} {verb} not used: {listed}{more}"
    half = [value.name for value in graph.outputs if value.datatype == "FP16"]
    if half and reading.task in _OF_BOXES:
        yield f"the outputs are FP16 ({half[0]!r}): boxes in pixels above 1024 are then rounded to whole ones"
    if reading.task in _OF_BOXES:
        yield _overlap(graph, dossier, reading)
    if dossier.find("nms_inside") is not None:
        yield "exported with nms=True: boxes under the export's own confidence threshold are lost already"
    if dossier.label_set is None and reading.task not in ("embedding", "raw"):
        yield "no labels found: answers carry class ids in their place; --labels FILE gives them names"
    color = dossier.find("input.color")
    if color is not None and color.sure is Sure.GUESSED:
        other = "rgb" if color.value == "bgr" else "bgr, if it was trained with OpenCV"
        yield f"the order of colours is a guess: the model may want --color {other}; --try shows the difference"


def _overlap(graph: Graph, dossier: Dossier, reading: Reading) -> str:
    """Tell who thins out boxes that overlap."""
    said = dossier.find("output.nms")
    nms = reading.output.get("nms", ...) if said is None else said.value
    finds_once = reading.decoder in _FINDS_ONCE or nms is None
    if nms not in (..., None):
        return "boxes that overlap are thinned out by kserve-vision, as output.nms says"
    if reading.decoder in _NEEDS_NMS and not finds_once:
        return "there is no NMS in the graph: kserve-vision does it, with output.nms.iou_threshold 0.45"
    inside = "NonMaxSuppression" in graph.operators or dossier.find("nms_inside") is not None
    if finds_once or (reading.decoder in ("yolov10", "yolo26_seg") and not inside):
        return (
            "there is no NMS, and such a model needs none: it is trained to find each object once; if yours does not, "
            "--set nms='{iou_threshold: 0.7}' thins out boxes that overlap"
        )
    return "boxes that overlap are thinned out in the graph, with the threshold of its export"
