"""Other files beside a model: labels, a model card, a licence."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from inspection.evidence import Evidence, Finding, LabelSet, Sure
from inspection.graph import Graph
from inspection.labels import labels_in_file
from inspection.licences import spdx
from inspection.literals import read_text, read_yaml

_NAMES: Final = (
    "labels.txt", "labels.json", "classes.txt", "class_names.txt", "classes.json", "class_names.json", "names.txt",
    "id2label.json", "imagenet_classes.txt", "imagenet_class_index.json", "coco.names", "obj.names", "synset.txt",
    "label_map.pbtxt", "labelmap.txt", "label_list.txt",
)  # fmt: skip
_PATTERNS: Final = ("*.names", "*labels*.txt", "*classes*.txt", "*label_map*.pbtxt")
_MOST: Final = 8
_LICENCE_FILES: Final = ("LICENSE", "LICENSE.txt", "LICENSE.md", "LICENCE", "COPYING")
_CARD_TASKS: Final = {
    "image-classification": "classification",
    "object-detection": "detection",
    "image-feature-extraction": "embedding",
}


def read(graph: Graph, folder: Path) -> Evidence:
    """Read what lies beside the model."""
    return Evidence(findings=(*_card(folder), *_licence(folder)), labels=tuple(_labels(graph.path, folder)))


def _labels(model: Path, folder: Path) -> list[LabelSet]:
    names = [f"{model.stem}.names", f"{model.stem}.txt", f"{model.stem}.labels", *_NAMES]
    paths = [folder / name for name in names]
    paths += [path for pattern in _PATTERNS for path in sorted(folder.glob(pattern))[:_MOST]]
    found = []
    for path in dict.fromkeys(paths):
        labels = labels_in_file(path)
        if labels:
            found.append(LabelSet(labels, f"{path.name} beside the model", path.name))
    return found[:_MOST]


def _card(folder: Path) -> list[Finding]:
    """Read the front matter of a model card, as Hugging Face's hub has it."""
    text = read_text(folder / "README.md") or ""
    if not text.startswith("---"):
        return []
    front = _front_matter(text)
    found = []
    licence = front.get("license_name") if front.get("license") == "other" else front.get("license")
    if licence:
        found.append(Finding("model.license", spdx(licence), Sure.FOUND, "`license` in README.md"))
    task = _CARD_TASKS.get(front.get("pipeline_tag", ""))
    if task:
        found.append(Finding("task", task, Sure.FOUND, "`pipeline_tag` in README.md"))
    return found


def _front_matter(text: str) -> dict[str, str]:
    """Return the simple keys of a text between two lines of `---`."""
    front: dict[str, str] = {}
    for line in text.splitlines()[1:200]:
        if line.startswith("---"):
            break
        key, colon, value = line.partition(":")
        if colon and not line.startswith((" ", "-")):
            front[key.strip()] = value.strip().strip("'\"")
    return front


def _licence(folder: Path) -> list[Finding]:
    for name in _LICENCE_FILES:
        text = read_text(folder / name)
        if text and text.strip():
            said = spdx(text[:400])
            return [Finding("model.license", said, Sure.DERIVED, f"{name} beside the model")]
    metadata = read_yaml(folder / "metadata.yaml") or {}  # Ultralytics' other exports
    licence = metadata.get("license")
    return [Finding("model.license", spdx(licence), Sure.FOUND, "metadata.yaml")] if isinstance(licence, str) else []
