"""Hugging Face's `config.json` and `preprocessor_config.json`, which Optimum's exports carry beside the model.

Sources: transformers' image processors (`size`, `crop_size`, `crop_pct`, `do_*`, `image_mean`, `resample`), whose
defaults differ by class, and `PretrainedConfig` (`architectures`, `id2label`, `problem_type`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from inspection.evidence import Evidence, Finding, LabelSet, Sure
from inspection.graph import Graph
from inspection.labels import labels_of
from inspection.literals import number, numbers, read_json, whole

Processor = Mapping[str, Any]

_FILTERS: Final = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"}
"""Pillow's numbers, as `resample` has them."""
_TASKS: Final = (
    ("ForImageClassification", "classification"),
    ("ForObjectDetection", "detection"),
    ("ForSemanticSegmentation", "segmentation"),
    ("ForImageClassificationWithTeacher", "classification"),
    ("VisionModelWithProjection", "embedding"),
)
_UNSERVED: Final = (
    ("ForUniversalSegmentation", "queries with masks (universal segmentation)"),
    ("ForInstanceSegmentation", "queries with masks (MaskFormer)"),
    ("ForConditionalGeneration", "text"),
    ("ForCausalLM", "text"),
    ("ForQuestionAnswering", "text"),
    ("ForPoseEstimation", "keypoints"),
    ("ForDepthEstimation", "depths"),
)
_SHORTEST_EDGE: Final = ("Detr", "ConditionalDetr", "DeformableDetr", "Yolos", "TableTransformer", "GroundingDino")
"""Classes whose `size` is the shorter side where it is a number, with `max_size` for the longer."""
_LONGEST: Final = 1333
"""Their `max_size` where a config leaves it out."""
_SQUARE: Final = ("DeiT", "Beit", "Flava", "OwlViT")
"""Classes that cut a part out, and whose `size` is a square where it is a number (`default_to_square` in
transformers)."""
_YOLOS_STEP: Final = 16
"""YolosImageProcessor rounds the sides down to a multiple of it."""
_CONVNEXT_CROPS_BELOW: Final = 384
"""ConvNextImageProcessor stretches pictures of this side and more."""


def read(graph: Graph, folder: Path) -> Evidence:  # noqa: ARG001  # each reader's signature
    """Read the configs beside the model, or in the folder above where the model lies in one called `onnx`."""
    where = _repository(folder)
    config = read_json(where / "config.json") or {}
    processor, name = _processor(where)
    if "model_type" not in config and not processor:
        return Evidence()
    architectures = config.get("architectures")
    architecture = str(architectures[0])[:80] if isinstance(architectures, list) and architectures else ""
    findings = [*_task(architecture, config), *_output(architecture, config)]
    notes: list[str] = []
    if processor:
        said = _Said(processor, name)
        findings += [*said.resize(), *said.normalize()]
        notes = said.notes
    found = labels_of(config.get("id2label"))
    labels = (LabelSet(found, "`id2label` in config.json"),) if found else ()
    named = config.get("id2label")
    return Evidence(
        tuple(findings),
        labels,
        family="hugging_face",
        architecture=architecture or str(config.get("model_type", "")),
        classes=len(named) if isinstance(named, Mapping) and named else None,
        notes=tuple(notes),
    )


def _repository(folder: Path) -> Path:
    above = folder.parent
    if folder.name == "onnx" and not (folder / "config.json").exists() and (above / "config.json").exists():
        return above
    return folder


def _processor(folder: Path) -> tuple[Processor, str]:
    found = read_json(folder / "preprocessor_config.json")
    if found:
        return found, "preprocessor_config.json"
    whole_config = read_json(folder / "processor_config.json") or {}
    inner = whole_config.get("image_processor")
    return (inner, "processor_config.json") if isinstance(inner, Mapping) else ({}, "")


def _task(architecture: str, config: Mapping[str, Any]) -> list[Finding]:
    source = f"`architectures: {architecture}` in config.json"
    for ending, what in _UNSERVED:
        if architecture.endswith(ending):
            return [Finding("unserved", what, Sure.FOUND, source)]
    for ending, task in _TASKS:
        if architecture.endswith(ending):
            return [Finding("task", task, Sure.FOUND, source)]
    if architecture.endswith("Model") and not architecture.endswith("CLIPModel") and "vocab_size" not in config:
        return [Finding("task", "embedding", Sure.DERIVED, source)]
    return []


def _output(architecture: str, config: Mapping[str, Any]) -> list[Finding]:
    if config.get("problem_type") == "multi_label_classification":
        source = "`problem_type: multi_label_classification` in config.json"
        return [Finding("output.decoder", "sigmoid", Sure.FOUND, source)]
    if architecture.endswith("ForObjectDetection"):
        softmax = architecture.startswith(("Detr", "Yolos", "TableTransformer"))
        source = f"`architectures: {architecture}` in config.json"
        return [Finding("output.activation", "softmax" if softmax else "sigmoid", Sure.DERIVED, source)]
    return []


class _Said:
    """What an image processor's config says."""

    def __init__(self, processor: Processor, name: str) -> None:
        self._said = processor
        self._file = name
        self._class = str(processor.get("image_processor_type") or processor.get("feature_extractor_type") or "")
        filter_number = number(processor.get("resample"))
        self._filter = None if filter_number is None else _FILTERS.get(int(filter_number))
        self.notes: list[str] = []

    def resize(self) -> list[Finding]:
        """Return the resize rule, and the size where it is fixed."""
        if self._said.get("do_resize", True) is False:
            return []
        size, crop = self._said.get("size"), self._said.get("crop_size")
        source = f"`size: {_short(size)}` in {self._file}"
        cropped = _square(crop) if self._said.get("do_center_crop") else None
        edge = _edge(size)
        longest = whole(self._said.get("max_size"))
        if edge is not None and isinstance(size, int) and (longest or self._class.startswith(_SHORTEST_EDGE)):
            return self._follows_picture(edge, longest or _LONGEST, f"{source}, `max_size: {longest or _LONGEST}`")
        if isinstance(size, int) and cropped and self._class.startswith(_SQUARE):
            edge = None
        elif isinstance(size, int) and not cropped and not self._class.startswith("ConvNext"):
            edge = None  # the first image processors meant a square by one number, unless they cut
        if edge is not None:
            found = self._by_edge(edge, cropped, source)
            if found:
                return found
        box = _square(size) or (_square(edge) if edge else None)
        if box is None:
            return []
        if cropped and box != cropped:
            self.notes.append(
                f"{self._file} stretches pictures to {box[0]}x{box[1]} and cuts {cropped[0]}x{cropped[1]} from the "
                "middle; the contract keeps the aspect and cuts the same size, which is close, and not the same"
            )
            return self._crop(max(box), cropped, f"{source}, `crop_size: {_short(crop)}`", Sure.DERIVED)
        return [*_sized(box, source), self._rule({"rule": "stretch"}, source)]

    def _by_edge(self, edge: int, cropped: tuple[int, int] | None, source: str) -> list[Finding]:
        size = self._said.get("size")
        if isinstance(size, Mapping) and "longest_edge" in size and cropped is None:
            return self._follows_picture(edge, whole(size.get("longest_edge")), source)
        if cropped:
            return self._crop(edge, cropped, f"{source}, `crop_size: {_short(self._said.get('crop_size'))}`")
        return self._convnext(edge, source) if self._class.startswith("ConvNext") else []

    def normalize(self) -> list[Finding]:
        """Return how pixels become numbers, and the channels' order."""
        said = self._said
        factor = number(said.get("rescale_factor")) or 1 / 255
        if said.get("do_rescale", True) is False:
            factor = 1.0
        rules: dict[str, Any] = {} if abs(factor * 255 - 1) < 1e-6 else {"scale": factor}  # noqa: PLR2004
        mean, std = numbers(said.get("image_mean")), numbers(said.get("image_std"))
        keys = ["rescale_factor"] if rules else ["do_rescale"]
        if said.get("do_normalize", bool(mean)) and mean and std and all(std):
            rules |= {"mean": mean, "std": std}
            keys = ["image_mean", "image_std"]
            if self._class.startswith("EfficientNet") and said.get("include_top", True):
                rules["std"] = tuple(each * each for each in std)  # it normalises once more, with a mean of 0
                keys = ["image_mean", "image_std", "include_top"]
        elif said.get("rescale_offset") or said.get("offset"):
            rules |= {"mean": (1.0,), "std": (1.0,)}
            keys = ["rescale_offset"]
        source = f"{' and '.join(f'`{key}`' for key in keys)} in {self._file}"
        found = [Finding("input.normalize", rules, Sure.FOUND, source)]
        if said.get("do_flip_channel_order"):
            return [
                *found,
                Finding("input.color", "bgr", Sure.FOUND, f"`do_flip_channel_order` in {self._file}"),
            ]
        return [*found, Finding("input.color", "rgb", Sure.DERIVED, "Hugging Face's image processors work in RGB")]

    def _follows_picture(self, shorter: int, longer: int | None, source: str) -> list[Finding]:
        rule: dict[str, Any] = {"rule": "shortest_edge", "shorter_side": shorter, "longer_side": longer or 2 * shorter}
        multiple = whole(self._said.get("size_divisor"))
        if self._class.startswith("Yolos"):
            self.notes.append(
                f"{self._file}: YOLOS rounds each side down to a multiple of {_YOLOS_STEP}, and the contract to the "
                "nearest one"
            )
            return [self._rule({**rule, "multiple": _YOLOS_STEP}, source, Sure.DERIVED)]
        if multiple:
            rule["multiple"] = multiple
        return [self._rule(rule, source)]

    def _convnext(self, edge: int, source: str) -> list[Finding]:
        share = number(self._said.get("crop_pct")) or 224 / 256
        if edge >= _CONVNEXT_CROPS_BELOW or not 0 < share <= 1:
            return [*_sized((edge, edge), source), self._rule({"rule": "stretch"}, source)]
        return self._crop(int(edge / share), (edge, edge), f"{source}, `crop_pct: {share:.4g}`")

    def _crop(self, edge: int, box: tuple[int, int], source: str, sure: Sure = Sure.FOUND) -> list[Finding]:
        rule = {"rule": "crop", "shorter_side": max(edge, *box)}
        if edge < max(box):
            self.notes.append(
                f"{self._file} scales the shorter side to {edge}, cuts {box[0]}x{box[1]} and fills up with zeros; the "
                f"contract scales it to {max(box)}, which is close, and not the same"
            )
            sure = Sure.DERIVED
        return [*_sized(box, source), self._rule(rule, source, sure)]

    def _rule(self, rule: dict[str, Any], source: str, sure: Sure = Sure.FOUND) -> Finding:
        named = {"interpolation": self._filter} if self._filter else {}
        return Finding("input.resize", rule | named, sure, source)


def _sized(box: tuple[int, int], source: str) -> list[Finding]:
    return [
        Finding("input.height", box[0], Sure.FOUND, source),
        Finding("input.width", box[1], Sure.FOUND, source),
    ]


def _edge(size: Any) -> int | None:
    """Return the shorter side of `224`, or of `{"shortest_edge": 224}`."""
    return whole(size.get("shortest_edge")) if isinstance(size, Mapping) else whole(size)


def _square(size: Any) -> tuple[int, int] | None:
    """Return height and width of `224`, `{"height": 224, "width": 224}` or `[224, 224]`."""
    if isinstance(size, Mapping):
        height, width = whole(size.get("height")), whole(size.get("width"))
        edge = whole(size.get("shortest_edge"))
        height, width = height or edge, width or edge
    elif isinstance(size, list) and len(size) == 2:  # noqa: PLR2004  # height and width
        height, width = whole(size[0]), whole(size[1])
    else:
        height = width = whole(size)
    return (height, width) if height and width else None


def _short(value: Any) -> str:
    return str(value)[:60]
