"""Which input takes the picture, and in what form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from inspection.errors import NotServable
from inspection.evidence import Finding, Sure
from inspection.graph import Graph, Value

SCALE_FACTOR: Final = "scale_factor"
"""The input by which PaddleDetection divides its boxes."""
_RANK: Final = 4
_CHANNELS: Final = 3
_DATATYPES: Final = ("FP32", "FP16", "UINT8")
_TEXT: Final = ("input_ids", "attention_mask", "token_type_ids", "position_ids", "decoder_input_ids")
_AUDIO: Final = ("audio", "waveform", "speech", "mel", "input_features", "input_values", "spectrogram", "wav", "feats")
_CHANNEL_NAMES: Final = ("num_channels", "channels", "channel", "c")
_SIZES: Final = {
    "orig_target_sizes": "width_height",
    "orig_size": "width_height",
    "image_shape": "height_width",
    SCALE_FACTOR: "height_width",
}
"""Second inputs that take the picture's size: RT-DETR's and D-FINE's, that of YOLOv3 in ONNX's model zoo, and
PaddleDetection's, which divides boxes by what it is fed, and so makes shares of them."""
_WITHOUT_SCALE: Final = "export it with PaddleDetection's `-o exclude_post_process=True`, which leaves them out"
_EXTRA: Final = {
    SCALE_FACTOR: _WITHOUT_SCALE,
    "im_shape": _WITHOUT_SCALE,
    "pixel_mask": "export it without the mask, which is all ones for a single picture",
}


@dataclass(frozen=True, slots=True)
class PictureInput:
    """The input that takes the picture. `height` and `width` are None where they are free."""

    value: Value
    layout: str
    layout_sure: Sure
    height: int | None
    width: int | None
    size_tensor: str | None = None
    """A second input, which takes the picture's height and width."""

    @property
    def batch(self) -> int | None:
        """The batch, where it is fixed."""
        return self.value.size(0)

    def findings(self) -> tuple[Finding, ...]:
        """Return the keys that it settles."""
        said = f"the graph's input {self.value}"
        found = [
            Finding("input.layout", self.layout, self.layout_sure, said),
            Finding("input.datatype", self.value.datatype, Sure.FOUND, said),
        ]
        if self.height is not None and self.width is not None:
            found.append(Finding("input.height", self.height, Sure.FOUND, said))
            found.append(Finding("input.width", self.width, Sure.FOUND, said))
        return tuple(found)

    def extra_findings(self) -> tuple[Finding, ...]:
        """Return the keys that a second input needs."""
        if self.size_tensor is None:
            return ()
        said = f"the graph's second input, {self.size_tensor!r}"
        return (
            Finding("input.size_tensor", self.size_tensor, Sure.DERIVED, said),
            Finding("input.size_order", _SIZES[self.size_tensor], Sure.DERIVED, said),
        )


def picture_input(graph: Graph) -> PictureInput:
    """Find the input of pictures.

    Raises:
        NotServable: there is none, or several, or one of a form that no picture becomes.
    """
    pictures = [value for value in graph.inputs if value.rank == _RANK]
    if not pictures:
        raise NotServable(_no_picture(graph))
    if len(pictures) > 1:
        names = " and ".join(repr(value.name) for value in pictures)
        raise NotServable(f"the graph takes several pictures, {names}: one picture in is all that can be served")
    value = pictures[0]
    others = [other for other in graph.inputs if other is not value]
    size_tensor = _size_tensor(others)
    if others and size_tensor is None:
        raise NotServable(_others(value, others))
    if value.datatype not in _DATATYPES:
        raise NotServable(f"the graph's input {value} is of a datatype that no picture is sent in: {_datatypes()}")
    layout, sure = _layout(value)
    height, width = (2, 3) if layout == "NCHW" else (1, 2)
    return PictureInput(value, layout, sure, value.size(height), value.size(width), size_tensor)


def _size_tensor(others: list[Value]) -> str | None:
    """Return the input that wants the picture's size, where it is the only one beside the picture."""
    return others[0].name if len(others) == 1 and others[0].name in _SIZES else None


def _layout(value: Value) -> tuple[str, Sure]:
    assert value.shape is not None  # noqa: S101  # its rank was seen
    first, last = value.shape[1], value.shape[3]
    if first == _CHANNELS and last != _CHANNELS:
        return "NCHW", Sure.DERIVED
    if last == _CHANNELS and first != _CHANNELS:
        return "NHWC", Sure.DERIVED
    if isinstance(first, str) and first.lower() in _CHANNEL_NAMES:
        return "NCHW", Sure.DERIVED
    sizes = [size for size in (first, last) if isinstance(size, int)]
    if first is None or isinstance(first, str):
        if isinstance(last, int):
            raise NotServable(_channels(value, last))
        return "NCHW", Sure.GUESSED
    raise NotServable(_channels(value, min(sizes)))


def _channels(value: Value, channels: int) -> str:
    return f"the graph's input {value} has {channels} channel{'s' if channels > 1 else ''}: pictures of 3 are served"


def _no_picture(graph: Graph) -> str:
    listed = "; ".join(map(str, graph.inputs[:6])) or "none"
    names = {value.name.lower() for value in graph.inputs}
    if names & set(_TEXT):
        return f"the graph takes text ({listed}): kserve-vision serves models whose input is a picture"
    if any(word in name for name in names for word in _AUDIO):
        return f"the graph takes sound ({listed}): kserve-vision serves models whose input is a picture"
    flat = [value for value in graph.inputs if value.rank == _RANK - 1 and _CHANNELS in (value.size(0), value.size(2))]
    if flat:
        return (
            f"the graph's input {flat[0]} is one picture without a batch axis: export it with an input of "
            "[n, 3, height, width], as torch.onnx.export does of a tensor in place of a list"
        )
    unknown = [value for value in graph.inputs if value.rank is None]
    if unknown:
        return f"the shape of the graph's input {unknown[0].name!r} does not stand in the file: export it with one"
    return (
        f"no input of the graph is a picture, [n, 3, height, width] or [n, height, width, 3]; its inputs are {listed}"
    )


def _others(value: Value, others: list[Value]) -> str:
    names = ", ".join(repr(other.name) for other in others)
    advice = next((_EXTRA[other.name] for other in others if other.name in _EXTRA), "")
    if {other.name.lower() for other in others} & set(_TEXT):
        advice = "export its picture side alone, such as the vision encoder of CLIP"
    return (
        f"the graph takes {names} beside the picture {value.name!r}, which nobody would fill in: "
        f"{advice or 'export it with the picture as its only input'}"
    )


def _datatypes() -> str:
    return f"one of {', '.join(_DATATYPES)} is expected"
