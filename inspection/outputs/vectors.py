"""Recognising one vector a picture: class scores, or an embedding."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from inspection.evidence import Sure
from inspection.graph import Value
from inspection.outputs import detection
from inspection.outputs.reading import Reading, Scene

_IMAGENET: Final = {
    365: "Places365's",
    1000: "ImageNet-1k's",
    1001: "ImageNet-1k's, and a background's,",
    11821: "ImageNet-12k's",
    21841: "ImageNet-21k's",
    21843: "ImageNet-21k's",
}
_EMBEDDING: Final = ("embed", "feature", "pooler", "last_hidden_state", "repr", "descriptor")
_ROWS: Final = ("yolov7_end2end", "paddle_detection")
"""Detectors whose rows look like vectors."""
_CLIP: Final = ("clip", "siglip")
_NORMALISED: Final = ("Div", "LpNormalization")
_CLASSES: Final = ("logits", "prob", "softmax", "predictions", "class", "fc", "dense", "score")
_ACTIVATED: Final = ("Softmax", "Sigmoid", "HardSigmoid")
_FEW: Final = 100
"""Classes up to which a vector is hardly an embedding."""


def read(scene: Scene) -> Iterator[Reading]:
    """Tell the ways to read the outputs as classes, or as an embedding."""
    vectors = [value for value in scene.outputs if _is_vector(value)]
    if scene.of_rank(2) and any(reading.decoder in _ROWS for reading in detection.read(scene)):
        return
    if len(scene.outputs) > 1 and any(
        v.rank == 3 and (v.size(2) == 4 or "boxes" in v.name)  # noqa: PLR2004
        for v in scene.outputs
    ):
        return
    if len(scene.outputs) > 1:  # rows of boxes
        vectors = [value for value in vectors if value.rank != 2 or value.size(1) != 4]  # noqa: PLR2004
    if not vectors or [v for v in scene.outputs if v.rank == 5]:  # noqa: PLR2004  # raw heads of a detector
        return
    chosen = next((v for v in vectors if any(word in v.name.lower() for word in _CLASSES)), None)
    named = [v for v in vectors if any(word in v.name.lower() for word in _EMBEDDING)]
    embedded = min(named, key=lambda value: _preference(scene, value), default=None)
    if len([v for v in scene.outputs if v.rank in (3, 4) and not _is_vector(v)]) > 1:
        return
    yield from _classes(scene, chosen or vectors[0], embedding=embedded is not None and chosen is None)
    yield from _embedding(scene, embedded or vectors[0], named=embedded is not None)


def _preference(scene: Scene, value: Value) -> int:
    """Return the place of an output among those that could be the vector: the projected one comes first, and what
    CLIP and its kin pool, which is behind their last normalisation; of others the first token is the vector.
    """
    if "embeds" in value.name:
        return 0
    is_clip = any(name in scene.dossier.architecture.lower() for name in _CLIP)
    return 1 if "pooler" in value.name and is_clip else 2


def _is_vector(value: Value) -> bool:
    if not value.datatype.startswith("FP"):
        return False
    if value.rank == 2:  # noqa: PLR2004  # [n, C]
        return True
    if value.rank == 4:  # noqa: PLR2004  # [n, C, 1, 1] or [n, 1, 1, C]
        return value.size(2) == 1 and (value.size(3) == 1 or value.size(1) == 1)
    return value.rank == 3 and (value.size(1) == 1 or "hidden" in value.name)  # noqa: PLR2004


def _length(value: Value) -> int | None:
    return value.size(1) if value.rank == 2 or value.size(3) == 1 else value.size(-1)  # noqa: PLR2004


def _classes(scene: Scene, value: Value, *, embedding: bool) -> Iterator[Reading]:
    length = _length(value)
    if "hidden" in value.name or (value.rank == 3 and value.size(1) != 1):  # noqa: PLR2004
        return
    fits = scene.classes is not None and length in (None, scene.classes, scene.classes + 1)
    tail = scene.graph.tail(value.name)[:1]
    said = f"the output {value}"
    if tail and tail[0] in _ACTIVATED:
        decoder, said = "probabilities", f"{said}, after a {tail[0]}"
    else:
        decoder, said = "logits", f"{said}, after a {tail[0]}" if tail else said
    sure = Sure.GUESSED
    if fits or length in _IMAGENET or (not embedding and (length or _FEW) < _FEW):
        sure = Sure.DERIVED
        said += f": {_IMAGENET[length]} classes" if length in _IMAGENET else ""
    elif any(word in value.name.lower() for word in ("logits", "prob", "softmax", "predictions")) or tail == (
        "Softmax",
    ):
        sure = Sure.DERIVED
    output: dict[str, Any] = scene.tensor(value)
    meaning = "a score for each class"
    if decoder == "logits" and length == 1:
        decoder, sure = "sigmoid", Sure.GUESSED
    yield Reading("classification", decoder, sure, said, output, length, (value.name,), meaning)


def _embedding(scene: Scene, value: Value, *, named: bool) -> Iterator[Reading]:
    length = _length(value)
    normalised = scene.graph.tail(value.name)[:1] in [(name,) for name in _NORMALISED]
    if scene.dossier.label_set is not None and not named:
        return
    if not named and not normalised and (length in _IMAGENET or (length or _FEW) < _FEW):
        return
    sure = Sure.DERIVED if named or normalised else Sure.GUESSED
    said = f"the output {value}" + (", divided by its length" if normalised else "")
    meaning = "a vector that stands for the picture, to be compared with others"
    output: dict[str, Any] = scene.tensor(value)
    if value.rank == 3 and value.size(1) != 1:  # noqa: PLR2004  # a vector for each token
        output["pooling"] = "first"
        said += ", whose first token is usually the class token"
    yield Reading("embedding", "vector", sure, said, output, None, (value.name,), meaning)
