"""Objects of Kubernetes as YAML, files and dictionaries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

Manifest = dict[str, Any]
Source = str | Path | Manifest | list[Manifest]


def manifests(source: Source) -> list[Manifest]:
    """The objects in YAML, in a file, in the files of a folder, or as they are given."""
    if isinstance(source, dict):
        return [source]
    if isinstance(source, list):
        return source
    if isinstance(source, Path):
        files = sorted(source.glob("*.yaml")) if source.is_dir() else [source]
        return [manifest for file in files for manifest in manifests(file.read_text())]
    return [each for each in yaml.load_all(source, yaml.CSafeLoader) if each]
