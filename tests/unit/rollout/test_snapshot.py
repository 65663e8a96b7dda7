"""The record of a canary: whole, bounded, and noticed when it was changed."""

from __future__ import annotations

import pytest

from rollout import NotPossible, SnapshotDamaged
from rollout.kinds import Manifest
from rollout.snapshot import DIGEST_KEY, KEY, MAX_BYTES, Snapshot, from_manifest, to_manifest

SERVICE: Manifest = {"metadata": {"name": "demo", "namespace": "ns", "uid": "u-1"}}


def _snapshot(**spec: object) -> Snapshot:
    stable = {"predictor": {"model": {"storageUri": "s3://m/1"}, **spec}}
    return Snapshot(
        mode="Knative",
        uid="u-1",
        name="v2",
        uri="s3://m/2",
        percent=10,
        stable=stable,
        candidate=stable,
        tag_routing=None,
    )


def test_what_was_written_is_read_again() -> None:
    snapshot = _snapshot(minReplicas=0, env=["ä", None, 1.5])
    assert from_manifest(to_manifest(snapshot, SERVICE)) == snapshot


def test_the_record_goes_with_its_service() -> None:
    manifest = to_manifest(_snapshot(), SERVICE)
    (owner,) = manifest["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"]) == ("InferenceService", "u-1")


def test_a_spec_that_is_too_large_is_refused() -> None:
    with pytest.raises(NotPossible, match="too large"):
        to_manifest(_snapshot(args=["x" * MAX_BYTES]), SERVICE)


@pytest.mark.parametrize(
    "data",
    [{}, {KEY: "{}"}, {KEY: "{}", DIGEST_KEY: "0"}, None],
)
def test_a_configmap_that_is_no_record_is_said_to_be_none(data: object) -> None:
    manifest = to_manifest(_snapshot(), SERVICE) | {"data": data}
    with pytest.raises(SnapshotDamaged, match="demo-canary"):
        from_manifest(manifest)


def test_a_record_that_somebody_changed_is_not_believed() -> None:
    manifest = to_manifest(_snapshot(), SERVICE)
    manifest["data"][KEY] = manifest["data"][KEY].replace("s3://m/1", "s3://m/0")
    with pytest.raises(SnapshotDamaged, match="digest differs"):
        from_manifest(manifest)


def test_a_record_of_a_later_release_is_left_to_it() -> None:
    manifest = to_manifest(_snapshot().model_copy(update={"version": 2}), SERVICE)
    with pytest.raises(SnapshotDamaged, match="another release"):
        from_manifest(manifest)
