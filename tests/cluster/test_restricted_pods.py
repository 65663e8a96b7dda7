"""Whether the pods that KServe asks for, with what its webhook adds, pass the restricted level of Pod Security."""

from __future__ import annotations

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.examples import RESTRICTED, container, inference_service, predictor, stored
from tests.cluster.kinds import DEPLOYMENT, KNATIVE_SERVICE, STORAGE_CONTAINER
from tests.cluster.manifests import Manifest
from tests.cluster.node import Node
from tests.cluster.refusal import Refused, Refuser

POD = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}


def _template(cluster: Cluster, manifest: Manifest, namespace: str) -> Manifest:
    cluster.apply(manifest, namespace)

    def created() -> list[Manifest]:
        return [*cluster.objects(DEPLOYMENT, namespace), *cluster.objects(KNATIVE_SERVICE, namespace)]

    cluster.until(lambda: bool(created()), "KServe created no workload")
    template: Manifest = created()[0]["spec"]["template"]
    return template


def _admitted(cluster: Cluster, *containers: Manifest, **fields: object) -> Manifest:
    namespace = cluster.namespace(enforce="restricted")
    manifest = inference_service(predictor(*containers, securityContext=POD, **fields))
    return Node(cluster).admit_pod(_template(cluster, manifest, namespace), namespace)


def test_kserve_sets_no_security_context_of_its_own(cluster: Cluster) -> None:
    namespace = cluster.namespace(enforce="restricted")
    template = _template(cluster, inference_service(predictor()), namespace)
    with pytest.raises(Refused) as refused:
        Node(cluster).admit_pod(template, namespace)
    assert refused.value.by is Refuser.POD_SECURITY


def test_a_pod_that_fetches_nothing_passes(cluster: Cluster) -> None:
    pod = _admitted(cluster, container(securityContext=RESTRICTED))
    assert [each["name"] for each in pod["spec"]["containers"]] == ["kserve-container"]


def test_a_model_on_a_volume_claim_passes(cluster: Cluster) -> None:
    pod = _admitted(cluster, stored("pvc://models/demo", securityContext=RESTRICTED))
    assert "initContainers" not in pod["spec"]
    (mounted,) = [each for each in pod["spec"]["containers"][0]["volumeMounts"] if each["mountPath"] == "/mnt/models"]
    assert mounted["readOnly"]


def test_the_storage_initializer_is_added_and_its_path_is_what_the_container_reads(cluster: Cluster) -> None:
    namespace = cluster.namespace()
    template = _template(cluster, inference_service(predictor(stored("s3://models/demo"))), namespace)
    pod = Node(cluster).admit_pod(template, namespace)
    assert [each["args"] for each in pod["spec"]["initContainers"]] == [["s3://models/demo", "/mnt/models"]]
    assert {"name": "STORAGE_URI", "value": "/mnt/models"} in pod["spec"]["containers"][0]["env"]


@pytest.mark.parametrize(
    ("uri", "added"), [("s3://models/demo", "storage-initializer"), ("oci://example.com/models/demo:1", "modelcar")]
)
def test_what_kserve_adds_to_fetch_a_model_does_not_pass(cluster: Cluster, uri: str, added: str) -> None:
    with pytest.raises(Refused) as refused:
        _admitted(cluster, stored(uri, securityContext=RESTRICTED))
    assert refused.value.by is Refuser.POD_SECURITY
    assert f'"{added}"' in refused.value.message
    assert '"kserve-container"' not in refused.value.message


def test_a_storage_container_of_ours_with_a_security_context_passes(cluster: Cluster) -> None:
    """The only way to reach the storage initializer's security context: a ClusterStorageContainer that says it."""
    default = cluster.get(STORAGE_CONTAINER, "default", "")
    assert default is not None
    ours = {
        "apiVersion": "serving.kserve.io/v1alpha1",
        "kind": "ClusterStorageContainer",
        "metadata": {"name": "restricted"},
        "spec": default["spec"] | {"container": default["spec"]["container"] | {"securityContext": RESTRICTED}},
    }
    cluster.apply(ours)
    try:
        named = {"storageContainerName": "restricted"}
        pod = _admitted(cluster, stored("s3://models/demo", securityContext=RESTRICTED), **named)
    finally:
        cluster.delete(STORAGE_CONTAINER, "restricted", "")
    assert [each["securityContext"] for each in pod["spec"]["initContainers"]] == [RESTRICTED]
