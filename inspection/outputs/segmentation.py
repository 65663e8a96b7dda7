"""Recognising segmenters: maps of class scores, of class ids, or of one mask."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from inspection.evidence import Sure
from inspection.graph import Dimension, Value
from inspection.outputs.reading import Reading, Scene

_SMALLEST: Final = 8
"""Points of a map's shorter side: fewer are pooled features."""
_COLORS: Final = 3
_U2NET_MASKS: Final = 7
_DEEPLAB: Final = 16


def read(scene: Scene) -> Iterator[Reading]:
    """Tell the ways to read the outputs as masks."""
    maps = [value for value in scene.outputs if _is_map(scene, value)]
    if not maps or scene.of_rank(2) or len(scene.of_rank(3)) > 1:
        return
    named = next((v for v in maps if v.name in ("out", "logits")), None)
    if named is None and len({_axes(scene, value)[1:] for value in maps if None not in _axes(scene, value)}) > 1:
        return  # maps of several strides are a detector's heads
    value = named or maps[0]
    yield from _read(scene, value, maps)


def is_u2net(scene: Scene) -> bool:
    """Whether the outputs are U²-Net's: seven masks of the input's size, each after a sigmoid."""
    first = scene.outputs[0].shape or ()
    alike = all(_agrees(first, value.shape or ()) for value in scene.outputs)
    tails = {scene.graph.tail(value.name)[:1] for value in scene.outputs}
    return len(scene.outputs) == _U2NET_MASKS and len(first) == 4 and alike and tails == {("Sigmoid",)}  # noqa: PLR2004


def is_deeplab(scene: Scene) -> bool:
    """Whether the sides are those of TensorFlow's DeepLab: a multiple of 16 and one more, 257, 321, 513, 769."""
    return scene.size is not None and all(side % _DEEPLAB == 1 and side > _DEEPLAB for side in scene.size)


def _agrees(one: tuple[Dimension, ...], other: tuple[Dimension, ...]) -> bool:
    """Whether two shapes are the same, as far as their sizes are known."""
    pairs = zip(one, other, strict=False)
    sizes = [(a, b) for a, b in pairs if isinstance(a, int) and isinstance(b, int)]
    return len(one) == len(other) and all(a == b for a, b in sizes)


def _is_map(scene: Scene, value: Value) -> bool:
    if value.rank == 3:  # noqa: PLR2004  # class ids without a channel
        sides = (value.size(1), value.size(2))
        ids = value.datatype.startswith(("INT", "UINT")) or scene.graph.tail(value.name)[:1] == ("ArgMax",)
        return ids and all(side is None or side >= _SMALLEST for side in sides)
    if value.rank != 4:  # noqa: PLR2004
        return False
    _, height, width = _axes(scene, value)
    return all(side is None or side >= _SMALLEST for side in (height, width))


def _axes(scene: Scene, value: Value) -> tuple[int | None, int | None, int | None]:
    """Return channels, height and width."""
    second, third, last = value.size(1), value.size(2), value.size(3)
    return (last, second, third) if _is_last(scene, value) else (second, third, last)


def _is_last(scene: Scene, value: Value) -> bool:
    """Whether the channels stand last: where they do in the input, or where only then the map is in proportion."""
    second, third, last = value.size(1), value.size(2), value.size(3)
    if last is None or (second is not None and second <= last):
        return False
    return scene.layout == "NHWC" or (second == third and second is not None)


def _read(scene: Scene, value: Value, maps: list[Value]) -> Iterator[Reading]:
    tail = scene.graph.tail(value.name)[:1]
    said = f"the output {value}"
    tensor = scene.tensor(value)
    sure = Sure.DERIVED
    if len(maps) > 1:
        said += f", the first of {len(maps)}" if value is maps[0] else f", one of {len(maps)}"
        sure = Sure.DERIVED if is_u2net(scene) or value.name == "out" else Sure.GUESSED
    used = (value.name,)
    if value.rank == 3 or value.datatype.startswith(("INT", "UINT")) or tail == ("ArgMax",):  # noqa: PLR2004
        said += " of class ids" if tail != ("ArgMax",) else ", after an ArgMax"
        yield Reading("segmentation", "class_map", sure, said, tensor, None, used)
        return
    channels, _, _ = _axes(scene, value)
    if _is_last(scene, value):
        tensor = {**tensor, "channels": "last"}
    after = f", after a {tail[0]}" if tail in (("Sigmoid",), ("Softmax",)) else ""
    if channels == 1 or tail == ("Sigmoid",):
        output: dict[str, Any] = {**tensor, "activation": "none" if tail == ("Sigmoid",) else "sigmoid"}
        yield Reading("segmentation", "masks", sure, said + after, output, channels, used)
        return
    is_picture = channels == _COLORS and tail != ("Softmax",)
    if is_picture and scene.classes is None and scene.dossier.find("task") is None:
        meaning = "a picture of three channels, such as a restored one"
        yield Reading("raw", "tensors", Sure.GUESSED, said, {}, None, used, meaning)
        sure = Sure.GUESSED
    if is_deeplab(scene):
        tensor = {**tensor, "upsample": "align_corners"}
    meaning = "a score for each class and each point"
    yield Reading("segmentation", "logits", sure, said + after, tensor, channels, used, meaning)
