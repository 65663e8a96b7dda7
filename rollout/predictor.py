"""The part of a predictor's spec that names its model, read and replaced."""

from __future__ import annotations

import copy
import hashlib
import re
from typing import Any, Final

from rollout.errors import NotPossible
from rollout.kinds import Manifest

CONTAINER: Final = "kserve-container"
VARIABLE: Final = "STORAGE_URI"
MAX_LABEL: Final = 63
"""The most letters in the name of a Service, and in a label of a host (RFC 1123)."""
DIGEST_LETTERS: Final = 6
SHORTEST_MADE: Final = DIGEST_LETTERS + 2
"""A letter, a hyphen, and the digest."""

_NAME: Final = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")


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


def longest_name(service: str, namespace: str) -> int:
    """The most letters that a candidate's name may have in Standard mode: the host that KServe makes of it,
    `SERVICE-NAME-predictor-NAMESPACE`, is one label.
    """
    return MAX_LABEL - len(f"{service}--predictor-{namespace}")


def name_for(uri: str, given: str, taken: str, longest: int = MAX_LABEL) -> str:
    """What a candidate is called: `given`, or made of the last part of its URI.

    Raises:
        NotPossible: `given` is no name of Kubernetes, or that of the stable version; or there is no room for one.
    """
    if longest < 1:
        raise NotPossible(
            "the names of the InferenceService and its namespace leave no letter for a candidate's: KServe makes of "
            f"them a host whose label has {MAX_LABEL} at most; nothing was written"
        )
    if given:
        if not _NAME.fullmatch(given):
            raise NotPossible(f"{given!r} is no name: lower-case letters, digits and -, and a letter first")
        if len(given) > longest:
            raise NotPossible(f"{given!r} is too long: {longest} letters are left for a version's name")
        if given == taken:
            raise NotPossible(f"the stable version is called {given} already: name the candidate otherwise")
        return given
    last = re.sub(r"[^a-z0-9]+", "-", uri.rstrip("/").rpartition("/")[2].lower()).strip("-")
    name = last if last[:1].isalpha() else f"v{last}"
    if len(name) <= longest and name != taken:
        return name
    digest = hashlib.sha256(uri.encode()).hexdigest()[:DIGEST_LETTERS]
    if longest < SHORTEST_MADE:
        raise NotPossible(
            f"{longest} letters are left for a version's name, too few to make one of the URI: give --version-name; "
            "nothing was written"
        )
    return f"{name[: longest - DIGEST_LETTERS - 1].rstrip('-')}-{digest}"


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
