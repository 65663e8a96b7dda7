"""The record of a canary: the stable version as it was, and the candidate as it was started.

It is a ConfigMap beside the InferenceService, which owns it, with a digest that tells when somebody wrote into it. Not
an annotation: KServe copies those of an InferenceService to its pods, so that writing one starts them all anew
(docs/adr/0014).
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from rollout.errors import NotPossible, SnapshotDamaged
from rollout.kinds import INFERENCE_SERVICE, Manifest

KEY: Final = "canary.json"
DIGEST_KEY: Final = "sha256"
LABELS: Final = {"app.kubernetes.io/managed-by": "kserve-vision", "app.kubernetes.io/component": "canary"}
MAX_BYTES: Final = 512 * 1024
"""The largest record; a ConfigMap takes 1 MiB, and specs of InferenceServices have a few KiB."""


class Snapshot(BaseModel):
    """What a canary has to know of its beginning."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = 1
    """Of this schema."""
    mode: str
    """`Knative` or `Standard`."""
    uid: str
    """Of the InferenceService: one that was deleted and created again is another."""
    name: str
    """What the candidate is called."""
    uri: str
    """The candidate's."""
    percent: int
    """The share that it was started with."""
    stable: dict[str, Any]
    """The spec before the start, as the API server kept it."""
    candidate: dict[str, Any]
    """The spec that the start made, as the API server would keep it."""
    stable_revision: str = ""
    """Knative: the revision that served before the start."""
    tag_routing: str | None = None
    """The annotation `serving.kserve.io/enable-tag-routing` before the start; None where there was none."""


def record_name(service: str) -> str:
    """What the record of an InferenceService's canary is called."""
    return f"{service}-canary"


def to_manifest(snapshot: Snapshot, service: Manifest) -> Manifest:
    """The ConfigMap that holds a record.

    Raises:
        NotPossible: it is larger than a record may be.
    """
    metadata = service["metadata"]
    text = json.dumps(snapshot.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    if len(text) > MAX_BYTES:
        raise NotPossible(
            f"the spec of {metadata['name']} is too large to be kept while a canary runs: the record has {len(text)} "
            f"bytes, and may have {MAX_BYTES}"
        )
    owner = {
        "apiVersion": INFERENCE_SERVICE.version,
        "kind": INFERENCE_SERVICE.name,
        "name": metadata["name"],
        "uid": metadata["uid"],
    }
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": record_name(metadata["name"]),
            "namespace": metadata["namespace"],
            "labels": LABELS,
            "ownerReferences": [owner],
        },
        "data": {KEY: text, DIGEST_KEY: _digest(text)},
    }


def from_manifest(manifest: Manifest) -> Snapshot:
    """Read a record.

    Raises:
        SnapshotDamaged: it is not one, or was changed.
    """
    metadata, data = manifest["metadata"], manifest.get("data") or {}
    where = f"ConfigMap {metadata['name']} in {metadata['namespace']}"
    text = data.get(KEY)
    if text is None:
        raise SnapshotDamaged(f"{where} has the name of a canary's record, and is none: rename or delete it")
    if data.get(DIGEST_KEY) != _digest(text):
        raise SnapshotDamaged(
            f"{where}, the record of the canary, was changed since it was written: its digest differs. Restore the "
            "InferenceService from your own files, and delete the record"
        )
    try:
        return Snapshot.model_validate_json(text)
    except ValidationError as error:
        raise SnapshotDamaged(
            f"{where} was written by another release of kserve-vision, which has to end it"
        ) from error


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
