"""What kubectl says of a service that cannot run: docs/troubleshooting.md starts from these words."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.kinds import EVENT, INFERENCE_SERVICE
from tests.cluster.manifests import Manifest
from tests.node.served import Served, container_status, last_state
from tests.node.storage import install_storage_container

Deploy = Callable[..., Served]
PREDICTOR, TRANSFORMER, INITIALIZER = "kserve-container", "transformer-container", "storage-initializer"
STAYS = [{"name": "EXIT_WHEN_USELESS", "value": "false"}]
NO_CONTRACT = (
    "predictor: CONTRACT_INVALID: /mnt/models/model.yaml does not exist: a model directory holds model.yaml, "
    "the ONNX file and its labels; this one holds labels.txt, model.onnx"
)
NEWER_CONTRACT = (
    "predictor: CONTRACT_INVALID: /mnt/models/model.yaml: apiVersion is 'kserve-vision/v9': "
    "input should be 'kserve-vision/v1'"
)
EMPTY = (
    "/mnt/models is empty: a model directory holds model.yaml, the ONNX file and its labels; "
    "a repository holds model directories as NAME/VERSION/model.yaml"
)
UNSCHEDULABLE = (
    "0/1 nodes are available: 1 Insufficient {}. no new claims to deallocate, "
    "preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
)
FORBIDDEN = (
    'violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false (container "storage-initializer" must '
    'set securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (container "storage-initializer" '
    'must set securityContext.capabilities.drop=["ALL"])'
)


@pytest.fixture
def no_contract(model_dir: Path, tmp_path: Path) -> Path:
    """A model directory without its model.yaml."""
    directory = tmp_path / "model"
    shutil.copytree(model_dir, directory)
    (directory / "model.yaml").unlink()
    return directory


@pytest.fixture
def newer_contract(model_dir: Path, tmp_path: Path) -> Path:
    """A model directory whose contract is of a later version than the servers."""
    directory = tmp_path / "model"
    shutil.copytree(model_dir, directory)
    contract = directory / "model.yaml"
    contract.write_text(
        re.sub("^apiVersion: .*", "apiVersion: kserve-vision/v9", contract.read_text(), flags=re.MULTILINE)
    )
    return directory


class TestAModelThatCannotBeLoaded:
    def test_says_why_in_the_pod_and_in_the_inference_service(self, deployed: Deploy, no_contract: Path) -> None:
        service = deployed(no_contract)
        pod = _crash_looping(service, PREDICTOR)

        assert last_state(pod, PREDICTOR)["message"] == NO_CONTRACT
        assert (last_state(pod, PREDICTOR)["reason"], last_state(pod, PREDICTOR)["exitCode"]) == ("Error", 1)
        _is_shown(service, "0/2", "CrashLoopBackOff")
        _model_status_becomes(service, {"exitCode": 1, "message": NO_CONTRACT, "reason": "ModelLoadFailed"})
        assert service.status()["modelStatus"]["transitionStatus"] == "BlockedByFailedLoad"
        assert service.status()["modelStatus"]["states"]["targetModelState"] == "FailedToLoad"

    def test_and_whose_contract_is_newer_says_so(self, deployed: Deploy, newer_contract: Path) -> None:
        service = deployed(newer_contract)
        pod = _crash_looping(service, PREDICTOR)

        assert last_state(pod, PREDICTOR)["message"] == NEWER_CONTRACT
        _model_status_becomes(service, {"exitCode": 1, "message": NEWER_CONTRACT, "reason": "ModelLoadFailed"})

    def test_is_waited_for_where_the_servers_are_told_to_stay(self, deployed: Deploy, no_contract: Path) -> None:
        """The pod runs and is not ready; the log and the model's own route say why, and Kubernetes does not."""
        transformer = {"name": TRANSFORMER, "env": STAYS}
        service = deployed(no_contract, model={"env": STAYS}, containers=[transformer])
        pod = service.wait_for_pod(lambda each: container_status(each, TRANSFORMER).get("started"))
        ready = f"http://{pod['status']['podIP']}:8080/v2/models/{service.name}/ready"
        service.cluster.until(lambda: "CONTRACT_INVALID" in httpx.get(ready, trust_env=False).text, "no reason")

        _is_shown(service, "0/2", "Running")
        assert service.status()["modelStatus"]["states"]["targetModelState"] == "Pending"
        _lacks_replicas(service)
        assert "CONTRACT_INVALID" in service.kubectl("logs", pod["metadata"]["name"], "--container", PREDICTOR)


class TestMemory:
    def test_that_is_too_little_to_start_kills_the_predictor(self, deployed: Deploy, model_dir: Path) -> None:
        service = deployed(model_dir, model=_memory("40Mi"))
        pod = _crash_looping(service, PREDICTOR)

        assert (last_state(pod, PREDICTOR)["reason"], last_state(pod, PREDICTOR)["exitCode"]) == ("OOMKilled", 137)
        _model_status_becomes(service, {"exitCode": 137, "reason": "ModelLoadFailed"})

    def test_that_no_node_has_leaves_the_pod_pending(self, deployed: Deploy, model_dir: Path) -> None:
        service = deployed(model_dir, model=_memory("500Gi"))

        assert _scheduling(service) == UNSCHEDULABLE.format("memory")
        _is_shown(service, "0/2", "Pending")


def test_without_a_gpu_node_the_pod_stays_pending(deployed: Deploy, model_dir: Path) -> None:
    service = deployed(model_dir, model={"runtime": "kserve-vision-gpu"})

    assert _scheduling(service) == UNSCHEDULABLE.format("nvidia.com/gpu")
    _is_shown(service, "0/2", "Pending")
    _lacks_replicas(service)


def test_a_setting_that_is_none_ends_the_server_with_the_reason(deployed: Deploy, model_dir: Path) -> None:
    service = deployed(model_dir, model={"env": [{"name": "NUM_THREADS", "value": "many"}]})
    pod = _crash_looping(service, PREDICTOR)

    assert last_state(pod, PREDICTOR)["exitCode"] == 2
    assert last_state(pod, PREDICTOR)["message"].startswith("predictor: ")
    assert "NUM_THREADS" in last_state(pod, PREDICTOR)["message"].upper()
    print(f"\n{last_state(pod, PREDICTOR)['message']}")


class TestAStorageUri:
    def test_of_a_claim_that_does_not_exist_leaves_the_pod_pending(self, deployed: Deploy, model_dir: Path) -> None:
        service = deployed(model_dir, model={"storageUri": "pvc://nothing/demo"})

        assert _scheduling(service).startswith('0/1 nodes are available: persistentvolumeclaim "nothing" not found.')

    def test_of_a_folder_that_does_not_exist_in_a_claim_is_an_empty_model(
        self, deployed: Deploy, model_dir: Path
    ) -> None:
        """Where kubelet may write to the volume, it makes the folder."""
        service = deployed(model_dir, model={"storageUri": "pvc://models/nothing"})
        pod = _crash_looping(service, PREDICTOR)

        assert last_state(pod, PREDICTOR)["message"] == f"predictor: MODEL_LOAD_FAILED: {EMPTY}"

    def test_for_an_initializer_whose_image_cannot_be_pulled_waits(
        self, node: Cluster, deployed: Deploy, model_dir: Path
    ) -> None:
        install_storage_container(
            node, "s3://not-there/", name="not-there", image="kserve/storage-initializer:not-there"
        )
        service = deployed(model_dir, storageContainerName="not-there", model={"storageUri": "s3://not-there/model"})
        service.wait_for_pod(lambda each: _waits(each, INITIALIZER) == "ImagePullBackOff")

        _is_shown(service, "0/2", "Init:ImagePullBackOff")
        assert service.status()["modelStatus"]["states"]["targetModelState"] == "Pending"

    def test_is_not_fetched_in_a_restricted_namespace(self, deployed: Deploy, model_dir: Path) -> None:
        """KServe's own storage initializer is not admitted, and no pod is made."""
        service = deployed(model_dir, model={"storageUri": "s3://elsewhere/model"})
        service.cluster.until(lambda: FORBIDDEN in _condition(service, "PredictorReady"), "the pod was admitted")

        assert service.pods() == []
        assert _condition(service, "PredictorReady").startswith("FailedCreate: pods ")


def test_an_image_that_no_registry_has_is_not_pulled(deployed: Deploy, model_dir: Path) -> None:
    """What people see who have not said where their images are."""
    service = deployed(model_dir, model={"image": "kserve-vision-predictor:not-there"})
    pod = service.wait_for_pod(lambda each: _waits(each, PREDICTOR) == "ImagePullBackOff")
    events = service.cluster.events(pod["metadata"]["name"], service.namespace)

    assert any(each.startswith('Failed: Failed to pull image "kserve-vision-predictor:not-there": ') for each in events)
    assert 'BackOff: Back-off pulling image "kserve-vision-predictor:not-there"' in events
    _is_shown(service, "0/2", "ImagePullBackOff")


def _memory(size: str) -> Manifest:
    return {"resources": {"requests": {"memory": size}, "limits": {"memory": size}}}


def _waits(pod: Manifest, container: str) -> str:
    return str(container_status(pod, container).get("state", {}).get("waiting", {}).get("reason", ""))


def _crash_looping(service: Served, container: str) -> Manifest:
    return service.wait_for_pod(lambda pod: _waits(pod, container) == "CrashLoopBackOff" and last_state(pod, container))


def _is_shown(service: Served, ready: str, status: str) -> None:
    """Wait until `kubectl get pods` prints this as READY and STATUS: that of a pod that is started again changes."""
    shown: list[str] = []

    def printed() -> bool:
        shown[:] = service.kubectl("get", "pods", "--no-headers").split()[1:3]
        return shown == [ready, status]

    service.cluster.until(printed, f"kubectl shows {shown}")


def _condition(service: Served, kind: str) -> str:
    conditions: list[dict[str, Any]] = service.status().get("conditions", [])
    return next((f"{each.get('reason')}: {each.get('message')}" for each in conditions if each["type"] == kind), "")


def _lacks_replicas(service: Served) -> None:
    """Wait until KServe says no more than that."""
    lacking = "MinimumReplicasUnavailable: Deployment does not have minimum availability."
    service.cluster.until(
        lambda: _condition(service, "PredictorReady") == lacking, "PredictorReady says something else"
    )


def _model_status_becomes(service: Served, failure: Manifest) -> None:
    """Wait until KServe has heard of it."""

    def told(each: Manifest) -> bool:
        found: bool = each.get("status", {}).get("modelStatus", {}).get("lastFailureInfo") == failure
        return found

    service.cluster.wait_for(INFERENCE_SERVICE, service.name, service.namespace, told)


def _scheduling(service: Served) -> str:
    """What the scheduler says of the pod, which stays pending."""
    found: list[str] = []

    def said() -> bool:
        events = service.cluster.objects(EVENT, service.namespace)
        found[:] = [each["message"] for each in events if each["reason"] == "FailedScheduling"]
        return bool(found)

    service.cluster.until(said, "the scheduler said nothing")
    return found[-1]
