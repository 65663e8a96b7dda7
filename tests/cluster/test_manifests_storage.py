"""Where the overlays' models come from, and what each way asks of a pod."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from rollout.kinds import Kind
from tests.cluster.cluster import Cluster
from tests.cluster.kinds import CONFIG_MAP, STORAGE_CONTAINER
from tests.cluster.kserve import SYSTEM, Mode
from tests.cluster.manifests import Manifest
from tests.cluster.overlays import ROOT, about, combined, containers, deploy, deployed, mode_of
from tests.cluster.refusal import Refused, Refuser

CACHES: Final = ("localmodelcaches", "localmodelnodegroups")
FETCHED: Final = {
    "storage/s3": "s3://my-bucket/my-model/",
    "storage/gcs": "gs://my-bucket/my-model",
    "storage/http": "https://models.example.com/my-model.tar.gz",
    "storage/hf": "hf://my-organisation/my-model:1c2d3e4",
}
IDENTITIES: Final = {
    "storage/s3": ("169.254.170.23/32",),
    "storage/gcs": ("169.254.169.252/32", "169.254.169.254/32"),
}
CHART: Final = ROOT.parent / "charts/kserve-vision"


def both_modes(*names: str) -> pytest.MarkDecorator:
    """The overlays of this name in each mode."""
    about(Mode.STANDARD, *names)
    return about(Mode.KNATIVE, *names)


@both_modes(*FETCHED)
def test_kserve_fetches_the_model_before_the_pod_starts(cluster: Cluster, overlay: str) -> None:
    found = deployed(cluster, overlay)
    found.make_secrets()
    pod = found.pod()
    assert containers(pod)["storage-initializer"]["args"] == [FETCHED[overlay], "/mnt/models"]
    for each in pod["spec"]["containers"]:
        (mount,) = [mount for mount in each["volumeMounts"] if mount["mountPath"] == "/mnt/models"]
        assert mount["readOnly"]


@both_modes("storage/s3")
def test_the_keys_come_from_the_secret_that_the_service_account_names(cluster: Cluster, overlay: str) -> None:
    found = deployed(cluster, overlay)
    found.make_secrets()
    variables = {each["name"]: each for each in containers(found.pod())["storage-initializer"]["env"]}
    assert variables["AWS_ACCESS_KEY_ID"]["valueFrom"]["secretKeyRef"]["name"] == "model-store"
    assert variables["S3_ENDPOINT"]["value"] == "s3.example.com"


@both_modes("storage/s3")
def test_without_the_secret_no_pod_is_made(cluster: Cluster, overlay: str) -> None:
    """KServe's webhook refuses the pod: the Deployment's events say so, and nothing of the InferenceService."""
    found = deploy(cluster, ROOT / "overlays" / mode_of(cluster).value.lower() / overlay)
    with pytest.raises(Refused) as refused:
        found.pod()
    assert refused.value.by is Refuser.KSERVE
    assert 'secrets "model-store" not found' in refused.value.message


@both_modes("storage/gcs")
def test_the_service_account_is_googles(cluster: Cluster, overlay: str) -> None:
    found = deployed(cluster, overlay)
    (account,) = found.rendered_kind("ServiceAccount")
    assert "iam.gke.io/gcp-service-account" in account["metadata"]["annotations"]
    assert found.templates["model-predictor"]["spec"]["serviceAccountName"] == account["metadata"]["name"]


@both_modes("storage/s3", "storage/gcs")
def test_what_goes_out_is_what_the_chart_lets_out(cluster: Cluster, overlay: str) -> None:
    """DNS wherever it is, the store, and what gives out the identity that opens it."""
    mode = mode_of(cluster).value
    (policy,) = deployed(cluster, overlay).rendered_kind("NetworkPolicy")
    values = (f"mode={mode}", f"storage.uri={FETCHED[overlay]}", "networkPolicy.enabled=true")
    chart = cluster.command_line.render_chart(CHART, *(part for value in values for part in ("--set", value)))
    (of_chart,) = [each for each in chart if each["kind"] == "NetworkPolicy"]
    assert policy["spec"]["egress"] == of_chart["spec"]["egress"]
    peers = json.dumps(policy["spec"]["egress"])
    assert all(each in peers for each in ("openshift-dns", "169.254.20.10/32", *IDENTITIES[overlay]))


@both_modes("storage/pvc", "storage/oci")
def test_what_is_mounted_is_not_fetched_and_nothing_goes_out(cluster: Cluster, overlay: str) -> None:
    found = deployed(cluster, overlay)
    pod = found.pod()
    assert "initContainers" not in pod["spec"]
    (policy,) = found.rendered_kind("NetworkPolicy")
    assert {port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]} == {53, 5353}


@both_modes("storage/pvc")
def test_both_containers_read_the_claims_folder(cluster: Cluster, overlay: str) -> None:
    pod = deployed(cluster, overlay).pod()
    (volume,) = [each["name"] for each in pod["spec"]["volumes"] if "persistentVolumeClaim" in each]
    expected = {"name": volume, "mountPath": "/mnt/models", "subPath": "my-model", "readOnly": True}
    assert all(expected in each["volumeMounts"] for each in pod["spec"]["containers"])


@both_modes("storage/oci")
def test_both_containers_read_the_images_folder(cluster: Cluster, overlay: str) -> None:
    pod = deployed(cluster, overlay).pod()
    (volume,) = [each for each in pod["spec"]["volumes"] if "image" in each]
    assert volume["image"]["reference"] == "registry.example.com/models/my-model:1"
    for each in pod["spec"]["containers"]:
        (mount,) = [mount for mount in each["volumeMounts"] if mount["mountPath"] == "/mnt/models"]
        assert (mount["name"], mount["subPath"], mount["readOnly"]) == (volume["name"], "models", True)


def test_the_older_way_of_oci_shares_processes_and_takes_our_user_away(cluster: Cluster, tmp_path: Path) -> None:
    """KServe's modelcar: why the overlay says oci+native."""
    older = [{"op": "replace", "path": "/spec/predictor/model/storageUri", "value": "oci://registry.example.com/m:1"}]
    patch = {"target": {"kind": "InferenceService"}, "patch": json.dumps(older)}
    base = ROOT / "base" / mode_of(cluster).value.lower()
    found = deploy(cluster, combined(tmp_path, [base], [], patches=[patch]))
    pod = found.pod()
    assert pod["spec"]["shareProcessNamespace"]
    assert containers(pod)["kserve-container"]["securityContext"]["runAsUser"] == 1010
    with pytest.raises(Refused) as refused:
        found.pod(namespace=found.restricted_namespace())
    assert '"modelcar"' in refused.value.message


@both_modes("restricted")
def test_our_storage_container_is_taken_where_it_is_named(cluster: Cluster, overlay: str) -> None:
    fetching = containers(deployed(cluster, overlay).pod())["storage-initializer"]
    ours = cluster.get(STORAGE_CONTAINER, "kserve-vision-restricted", "")
    assert ours is not None
    assert fetching["securityContext"] == ours["spec"]["container"]["securityContext"]
    assert fetching["image"] == ours["spec"]["container"]["image"]


def test_our_storage_container_lists_no_address_that_could_be_somebody_elses(cluster: Cluster) -> None:
    """For a model that names none, KServe takes any storage container that lists its address, in no order."""
    (manifest,) = cluster.command_line.render_kustomize(ROOT / "runtimes/storage")
    prefixes = [each["prefix"] for each in manifest["spec"]["supportedUriFormats"]]
    assert all((each.split("://")[1].count("/") == 1 and "my-" in each) or "example" in each for each in prefixes)


@contextmanager
def _local_models(cluster: Cluster) -> Iterator[None]:
    """KServe's configuration with local models switched on."""
    before = cluster.get(CONFIG_MAP, "inferenceservice-config", SYSTEM)
    assert before is not None
    changed = json.dumps(json.loads(before["data"]["localModel"]) | {"enabled": True})
    cluster.patch(CONFIG_MAP, "inferenceservice-config", SYSTEM, {"data": {"localModel": changed}})
    try:
        yield
    finally:
        unchanged = {"data": {"localModel": before["data"]["localModel"]}}
        cluster.patch(CONFIG_MAP, "inferenceservice-config", SYSTEM, unchanged)


def _cache_exists(manifests: list[Manifest]) -> bool:
    return {"LocalModelCache", "LocalModelNodeGroup"} <= {each["kind"] for each in manifests}


@both_modes("model-cache")
def test_a_cached_model_is_mounted_where_local_models_are_switched_on(cluster: Cluster, overlay: str) -> None:
    folder = ROOT / "overlays" / mode_of(cluster).value.lower() / overlay
    cluster.apply([each for each in cluster.command_line.render_kustomize(folder) if "Local" in each["kind"]])
    try:
        with _local_models(cluster):
            found = deploy(cluster, folder)
            pod = found.pod()
    finally:
        for plural in CACHES:
            cluster.delete(
                Kind("serving.kserve.io/v1alpha1", plural, namespaced=False), "vision" if "node" in plural else "model"
            )
    assert _cache_exists(found.rendered)
    (claim,) = [each["persistentVolumeClaim"] for each in pod["spec"]["volumes"] if "persistentVolumeClaim" in each]
    assert claim["claimName"] == "model-vision"
    assert "initContainers" not in pod["spec"]


@both_modes("model-cache")
def test_a_cache_changes_nothing_where_local_models_are_switched_off(cluster: Cluster, overlay: str) -> None:
    """As KServe comes."""
    assert containers(deployed(cluster, overlay).pod())["storage-initializer"]["args"][0] == "s3://my-bucket/my-model/"
