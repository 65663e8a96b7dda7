"""The part of a predictor's spec that names its model, read and replaced."""

from __future__ import annotations

import copy
import re
from typing import Any, Final

from rollout.errors import NotPossible
from rollout.kinds import Manifest

CONTAINER: Final = "kserve-container"
VARIABLE: Final = "STORAGE_URI"


def uri_of(predictor: Manifest) -> str:
    """The storage URI of a predictor's model; empty where it has none."""
    entry = _entry(predictor)
    return "" if entry is None else str(entry[0][entry[1]])


def with_uri(predictor: Manifest, uri: str) -> Manifest:
    """The same predictor with another model.

    Raises:
        NotPossible: it names its model in a way that is not known here.
    """
    changed = copy.deepcopy(predictor)
    entry = _entry(changed)
    if entry is None:
        raise NotPossible(
            "the predictor has neither model.storageUri nor STORAGE_URI in the environment of its kserve-container, "
            "so that there is nothing to set to another version's URI"
        )
    holder, key = entry
    holder[key] = uri
    return changed


def implementation(predictor: Manifest) -> Manifest:
    """The part that serves the model: `model`, or the containers."""
    return {key: copy.deepcopy(predictor[key]) for key in ("model", "containers") if predictor.get(key)}


def check_uri(uri: str) -> None:
    """Refuse what is no storage URI.

    Raises:
        NotPossible: it has no scheme, or spaces.
    """
    if not re.fullmatch(r"[a-zA-Z][a-zA-Z0-9+.-]*://[^\s]+", uri):
        raise NotPossible(f"{uri!r} is no storage URI, such as s3://bucket/model/2 or pvc://claim/model/2")


def _entry(predictor: Manifest) -> tuple[dict[str, Any], str] | None:
    """The mapping that holds the URI, and its key there."""
    model = predictor.get("model") or {}
    if model.get("storageUri"):
        return model, "storageUri"
    for container in predictor.get("containers") or ():
        if container.get("name") == CONTAINER:
            for variable in container.get("env") or ():
                if variable.get("name") == VARIABLE and variable.get("value"):
                    return variable, "value"
    return None
