"""A repository of models on the disk, out of the demo classifier: good ones, broken ones, several versions."""

from __future__ import annotations

import shutil
from pathlib import Path

SEVERAL = "cats"
"""The model with versions 1 and 2; a picture of a cat is a `first cat` to the one and a `second cat` to the other."""
LABELS = {"1": "first cat", "2": "second cat"}
PLAIN = "plain"
"""A model without version folders; its contract says version 1."""
BAD_CONTRACT = "bad-contract"
"""A model with a typo in its contract, which either server finds."""
BAD_GRAPH = "bad-graph"
"""A model with a file that is no ONNX, which only the predictor finds."""


def write_repository(root: Path, model_dir: Path) -> Path:
    """Write all of them."""
    for version, label in LABELS.items():
        write_version(root / SEVERAL / version, model_dir, label)
    (root / PLAIN).symlink_to(model_dir)
    contract = write_version(root / BAD_CONTRACT / "1", model_dir) / "model.yaml"
    contract.write_text(contract.read_text().replace("normalize:", "normalise:"))
    graph = write_version(root / BAD_GRAPH / "1", model_dir) / "model.onnx"
    graph.unlink()
    graph.write_bytes(b"<html>404 Not Found</html>")
    return root


def write_version(folder: Path, model_dir: Path, label: str = "tiger cat") -> Path:
    """Write one version of the demo classifier, which calls a tiger cat by `label`."""
    folder.mkdir(parents=True)
    (folder / "model.onnx").symlink_to(model_dir / "model.onnx")
    shutil.copy(model_dir / "model.yaml", folder)
    labels = (model_dir / "labels.txt").read_text()
    assert "\ntiger cat\n" in labels
    (folder / "labels.txt").write_text(labels.replace("\ntiger cat\n", f"\n{label}\n"))
    return folder
