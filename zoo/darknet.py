"""Reading a Darknet network: its layers from a `.cfg` text, its numbers from a `.weights` blob.

The text lists the layers in order, `[kind]` and then `key=value` lines. The blob is a header and then float32 numbers
without names or shapes: each convolution takes its own in turn, so a layer that is read wrongly moves all that follow.
Hence nothing is guessed: a layer, an activation or an option that is not known here is refused, and the blob must be
used up to its last number.

What a layer computes is written down in AlexeyAB's Darknet, the branch that YOLOv4 is from: `parser.c` (options and
weights), `network.c` (`fuse_conv_batchnorm`), `maxpool_layer.c` and `yolo_layer.c`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from zoo.errors import WeightsInvalid
from zoo.layers import BatchNorm, Float32, fold

if TYPE_CHECKING:
    from zoo.graph import Graph

BN_EPSILON = 1e-5
LEAKY_SLOPE = 0.1

_READ = {
    "net": {"width", "height", "channels"},
    "convolutional": {"batch_normalize", "filters", "size", "stride", "pad", "activation"},
    "maxpool": {"size", "stride"},
    "route": {"layers", "groups", "group_id"},
    "upsample": {"stride"},
    "yolo": {"mask", "anchors", "classes", "num", "scale_x_y"},
}
"""The layers that are built, and the options that say how."""

_TRAINING = {
    "net": {
        "batch", "subdivisions", "momentum", "decay", "angle", "saturation", "exposure", "hue", "learning_rate",
        "burn_in", "max_batches", "policy", "steps", "scales",
    },
    "yolo": {
        "jitter", "random", "resize", "ignore_thresh", "truth_thresh", "iou_loss", "iou_normalizer", "cls_normalizer",
        "nms_kind", "beta_nms",
    },
}  # fmt: skip
"""Options that say nothing about the network's output: they are for training, and for what comes after the network."""


class Shapes(NamedTuple):
    """Of the graph that was built."""

    input: tuple[int | str, ...]
    """`[batch, channels, height, width]`."""
    output: tuple[int | str, ...]
    """`[batch, boxes, 5 + classes]`."""


def add_network(graph: Graph, config: str, weights: bytes) -> Shapes:
    """Add a Darknet detector to the graph, from its input to decoded boxes.

    A row of the output is a box: centre x and y, width and height in pixels of the input, objectness, and a score for
    each class, the last two 0..1. The rows of the first `[yolo]` layer come first; within one, those of its first
    anchor, cell by cell from the top left.

    Raises:
        WeightsInvalid: the text holds something that is not read here, or does not fit the blob.
    """
    net, *layers = _read_config(config)
    if net.kind != "net":
        raise WeightsInvalid(f"the network begins with [{net.kind}] where [net] is expected")
    network = _Network(graph, net, _Weights(weights))
    for layer in layers:
        network.add(layer)
    return network.finish()


@dataclass(frozen=True)
class _Section:
    """A layer of the text."""

    name: str
    kind: str
    options: Mapping[str, str]

    def text(self, key: str) -> str:
        try:
            return self.options[key]
        except KeyError:
            raise WeightsInvalid(f"{self.name} [{self.kind}] does not say its {key}") from None

    def numbers(self, key: str) -> list[float]:
        try:
            return [float(number) for number in self.text(key).split(",")]
        except ValueError as error:
            raise WeightsInvalid(f"{self.name} [{self.kind}] has {key}={self.text(key)}, not numbers") from error

    def integers(self, key: str) -> list[int]:
        numbers = self.numbers(key)
        if not all(number.is_integer() for number in numbers):
            raise WeightsInvalid(f"{self.name} [{self.kind}] has {key}={self.text(key)}, not whole numbers")
        return [int(number) for number in numbers]

    def count(self, key: str, default: int | None = None) -> int:
        """Return a whole number above 0."""
        if default is not None and key not in self.options:
            return default
        [number, *more] = self.integers(key)
        if more or number < 1:
            raise WeightsInvalid(f"{self.name} [{self.kind}] has {key}={self.text(key)}, not a number above 0")
        return number

    def flag(self, key: str) -> bool:
        return self.options.get(key, "0") == "1"


def _read_config(text: str) -> list[_Section]:
    sections: list[tuple[str, dict[str, str]]] = []
    for line in (line.split("#")[0].replace(" ", "").strip() for line in text.splitlines()):
        key, equals, value = line.partition("=")
        if line.startswith("["):
            sections.append((line.strip("[]"), {}))
        elif equals and sections:
            sections[-1][1][key] = value
        elif line:
            raise WeightsInvalid(f"the network's text has a line that is not understood: {line[:80]}")
    # Darknet counts the layers from the one after [net].
    read = [_Section(f"layer {index}", kind, options) for index, (kind, options) in enumerate(sections, start=-1)]
    for section in read:
        _check_known(section)
    if not read:
        raise WeightsInvalid("the network's text is empty")
    return read


def _check_known(section: _Section) -> None:
    if section.kind not in _READ:
        raise WeightsInvalid(f"{section.name} is a [{section.kind}], which is not read; {', '.join(_READ)} are")
    known = _READ[section.kind] | _TRAINING.get(section.kind, set())
    if unknown := sorted(set(section.options) - known):
        raise WeightsInvalid(f"{section.name} [{section.kind}] has the option {unknown[0]}, which is not read")


class _Weights:
    """The numbers of the blob, taken in order."""

    def __init__(self, blob: bytes) -> None:
        major, minor = (int.from_bytes(blob[at : at + 4], "little") for at in (0, 4))
        if major >= 1000 or minor >= 1000:  # noqa: PLR2004 - Darknet's mark for it
            raise WeightsInvalid("the weights are transposed, which is not read")
        # Major, minor and revision, 4 bytes each, then the pictures seen in training, 8 bytes since 0.2.
        header = 20 if major * 10 + minor >= 2 else 16  # noqa: PLR2004
        if len(blob) < header or (len(blob) - header) % 4:
            raise WeightsInvalid(f"the weights are {len(blob)} bytes, not a header of {header} and float32 numbers")
        self._numbers = np.frombuffer(blob, "<f4", offset=header)
        self._taken = 0

    def take(self, *shape: int) -> Float32:
        count = int(np.prod(shape))
        if self._taken + count > self._numbers.size:
            raise WeightsInvalid(f"the weights are cut short: the network needs more than their {self._numbers.size}")
        taken = self._numbers[self._taken : self._taken + count].reshape(shape)
        self._taken += count
        return taken

    def check_used_up(self) -> None:
        if self._taken != self._numbers.size:
            raise WeightsInvalid(f"the weights are {self._numbers.size} numbers; the network uses only {self._taken}")


class _Value(NamedTuple):
    """What a layer gives: the name of a value of the graph, and the shape of one picture's part of it."""

    name: str
    channels: int
    height: int
    width: int


class _Network:
    """Adds layer after layer to a graph, and remembers each for the routes that go back to it."""

    def __init__(self, graph: Graph, net: _Section, weights: _Weights) -> None:
        self._graph = graph
        self._weights = weights
        self._input = _Value("input", net.count("channels"), net.count("height"), net.count("width"))
        self._layers: list[_Value] = []
        self._detections: list[_Value] = []

    def add(self, layer: _Section) -> None:
        name = f"layer{len(self._layers)}"
        x = self._layers[-1] if self._layers else self._input
        match layer.kind:
            case "convolutional":
                value = self._convolutional(name, layer, x)
            case "maxpool":
                value = self._max_pool(name, layer, x)
            case "upsample":
                value = self._upsample(name, layer, x)
            case "route":
                value = self._route(name, layer)
            case "yolo":
                value = self._yolo(name, layer, x)
                self._detections.append(value)
            case _:
                raise WeightsInvalid(f"{layer.name} is a second [{layer.kind}]")
        self._layers.append(value)

    def finish(self) -> Shapes:
        """Join the boxes of all `[yolo]` layers."""
        self._weights.check_used_up()
        widths = {value.width for value in self._detections}
        if len(widths) != 1:
            raise WeightsInvalid("the network has no [yolo] layers, or they have different classes")
        self._graph.concat("detections", [value.name for value in self._detections], axis=1)
        boxes = sum(value.height for value in self._detections)
        return Shapes(("batch", *self._input[1:]), ("batch", boxes, widths.pop()))

    def _convolutional(self, name: str, layer: _Section, x: _Value) -> _Value:
        filters, size, stride = layer.count("filters"), layer.count("size"), layer.count("stride", 1)
        bias = self._weights.take(filters)
        norm = self._weights.take(3, filters) if layer.flag("batch_normalize") else None
        weight = self._weights.take(filters, x.channels, size, size)
        if norm is not None:
            weight, bias = fold(weight, BatchNorm(norm[0], bias, norm[1], norm[2], BN_EPSILON))
        pad = size // 2 if layer.flag("pad") else 0
        y = self._graph.conv(name, x.name, weight, bias, stride=stride, pads=(pad, pad))
        height, width = ((side + 2 * pad - size) // stride + 1 for side in (x.height, x.width))
        return _Value(self._activate(name, layer, y), filters, height, width)

    def _activate(self, name: str, layer: _Section, x: str) -> str:
        match layer.text("activation"):
            case "linear":
                return x
            case "leaky":
                return self._graph.leaky_relu(f"{name}.leaky", x, LEAKY_SLOPE)
        raise WeightsInvalid(
            f"{layer.name} has the activation {layer.text('activation')}, which is not read; leaky and linear are"
        )

    def _max_pool(self, name: str, layer: _Section, x: _Value) -> _Value:
        stride = layer.count("stride", 1)
        size = layer.count("size", stride)
        # Darknet's padding is size - 1 in all, of which the smaller half goes before.
        pads = ((size - 1) // 2, size - 1 - (size - 1) // 2)
        y = self._graph.max_pool(name, x.name, size=size, stride=stride, pads=pads)
        return _Value(y, x.channels, (x.height - 1) // stride + 1, (x.width - 1) // stride + 1)

    def _upsample(self, name: str, layer: _Section, x: _Value) -> _Value:
        factor = layer.count("stride")
        y = self._graph.repeat_pixels(name, x.name, factor)
        return _Value(y, x.channels, x.height * factor, x.width * factor)

    def _route(self, name: str, layer: _Section) -> _Value:
        """Join the channels of earlier layers, or of each the part `group_id` of `groups`."""
        sources = [self._earlier(layer, index) for index in layer.integers("layers")]
        if (groups := layer.count("groups", 1)) > 1:
            [group] = layer.integers("group_id")
            sources = [self._part(f"{name}.part{i}", x, group, groups) for i, x in enumerate(sources)]
        if len({(x.height, x.width) for x in sources}) != 1:
            raise WeightsInvalid(f"{layer.name} [route] joins layers of different sizes")
        if len(sources) == 1:
            return sources[0]
        y = self._graph.concat(name, [x.name for x in sources], axis=1)
        return _Value(y, sum(x.channels for x in sources), sources[0].height, sources[0].width)

    def _earlier(self, layer: _Section, index: int) -> _Value:
        """Return a layer by its number, or by how far back it is where that is negative."""
        position = index if index >= 0 else len(self._layers) + index
        if not 0 <= position < len(self._layers):
            raise WeightsInvalid(f"{layer.name} [route] goes to {index}, which is no earlier layer")
        return self._layers[position]

    def _part(self, name: str, x: _Value, group: int, groups: int) -> _Value:
        channels = x.channels // groups
        if x.channels % groups or not 0 <= group < groups:
            raise WeightsInvalid(f"{name}: {x.channels} channels have no part {group} of {groups}")
        y = self._graph.cut(name, x.name, axis=1, start=group * channels, end=(group + 1) * channels)
        return x._replace(name=y, channels=channels)

    def _yolo(self, name: str, layer: _Section, x: _Value) -> _Value:
        """Decode `[n, anchors * (5 + classes), h, w]` to rows `[n, anchors * h * w, 5 + classes]`.

        A centre is ``sigmoid(t) * scale_x_y - (scale_x_y - 1) / 2`` cells from its cell's corner, and a side is
        ``exp(t)`` times the anchor's (`get_yolo_box` in `yolo_layer.c`).
        """
        anchors, values = _anchors(layer), 5 + layer.count("classes")
        if x.channels != len(anchors) * values:
            raise WeightsInvalid(f"{layer.name} [yolo] needs {len(anchors) * values} channels and has {x.channels}")
        scale = layer.numbers("scale_x_y")[0] if "scale_x_y" in layer.options else 1.0
        cells = x.height * x.width
        cell = np.array([self._input.width / x.width, self._input.height / x.height], np.float64)
        corners = np.stack(np.meshgrid(np.arange(x.width), np.arange(x.height)), axis=-1).reshape(1, cells, 2)
        origins = np.tile((corners - (scale - 1) / 2) * cell, (1, len(anchors), 1))

        g = self._graph
        y = g.reshape(f"{name}.anchors", x.name, (0, len(anchors), values, cells))
        y = g.transpose(f"{name}.cells", y, (0, 1, 3, 2))
        y = g.reshape(f"{name}.rows", y, (0, len(anchors) * cells, values))
        center = g.sigmoid(f"{name}.center", g.cut(f"{name}.txy", y, axis=2, start=0, end=2))
        center = g.multiply_constant(f"{name}.center.pixels", center, (scale * cell).astype(np.float32))
        center = g.add_constant(f"{name}.center.absolute", center, origins.astype(np.float32))
        sides = g.exp(f"{name}.sides", g.cut(f"{name}.twh", y, axis=2, start=2, end=4))
        sides = g.multiply_constant(f"{name}.sides.pixels", sides, np.repeat(anchors, cells, axis=0)[None])
        scores = g.sigmoid(f"{name}.scores", g.cut(f"{name}.logits", y, axis=2, start=4, end=values))
        rows = g.concat(name, [center, sides, scores], axis=2)
        return _Value(rows, 1, len(anchors) * cells, values)


def _anchors(layer: _Section) -> Float32:
    """Return the layer's own anchors `[n, 2]`, widths and heights in pixels of the input."""
    numbers = np.array(layer.numbers("anchors"), np.float32)
    if numbers.size != 2 * layer.count("num"):
        raise WeightsInvalid(f"{layer.name} [yolo] has {numbers.size} anchor numbers for num={layer.text('num')}")
    mask = layer.integers("mask")
    if not all(0 <= index < numbers.size // 2 for index in mask):
        raise WeightsInvalid(f"{layer.name} [yolo] has mask={layer.text('mask')}, which are not all anchors")
    return numbers.reshape(-1, 2)[mask]
