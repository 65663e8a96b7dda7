"""`kserve-vision deploy` on a real API server: what it applies, and what it says while it waits."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from rollout.kinds import is_true
from tests.cluster.cli_pods import (
    FETCHED,
    INITIALIZING,
    RUNS,
    PlayedPod,
    ended,
    refuse_route,
    waiting,
)
from tests.cluster.cli_running import (
    Relay,
    install_runtimes,
    kserve_vision,
    meanwhile,
    on_a_terminal,
    relayed,
    running,
)
from tests.cluster.cluster import Cluster
from tests.cluster.examples import inference_service, predictor
from tests.cluster.kinds import CLUSTER_SERVING_RUNTIME, DEPLOYMENT, INFERENCE_SERVICE, KNATIVE_SERVICE
from tests.cluster.node import Node

URI = "s3://models/demo"


@pytest.fixture(autouse=True)
def _runtimes(request: pytest.FixtureRequest) -> None:
    """Our runtimes, as an administrator installs them."""
    name = next(each for each in ("cluster", "standard", "knative") if each in request.fixturenames)
    install_runtimes(request.getfixturevalue(name))


def test_a_model_is_deployed_and_the_end_says_how_it_is_asked(cluster: Cluster) -> None:
    namespace = cluster.namespace()
    node = Node(cluster)
    with meanwhile(partial(node.bring_up, "demo", namespace)):
        done = kserve_vision(cluster.kubeconfig, "deploy", URI, "-n", namespace)
    assert done.code == 0, done.err
    service = cluster.get(INFERENCE_SERVICE, "demo", namespace)
    assert service is not None
    assert is_true(service, "Ready")
    assert service["status"]["clusterServingRuntimeName"] == "kserve-vision"
    url = service["status"]["url"]
    assert f"demo is ready: {url}" in done.out
    assert f"curl -F file=@picture.jpg {url}/predict" in done.out
    assert f"kserve-vision test demo picture.jpg -n {namespace}" in done.out
    shown = kserve_vision(cluster.kubeconfig, "status", "-n", namespace, "-o", "json")
    (status,) = json.loads(shown.out)
    to = "demo-predictor" if status["mode"] == "Standard" else "demo-predictor-00001"
    assert shown.code == 0
    assert (status["ready"], status["model"], status["url"]) == (True, URI, url)
    assert status["traffic"] == [{"to": to, "percent": 100.0}]
    assert (status["reason"], status["remarks"], status["withheld"]) == ("", [], [])


def test_each_step_of_a_pod_is_said_as_it_comes(standard: Cluster) -> None:
    namespace = standard.namespace()
    node = Node(standard)
    with running(standard.kubeconfig, "deploy", URI, "-n", namespace) as deploying:
        deploying.wait_line("applied")
        deploying.wait_line("has not been taken up")
        pod = PlayedPod(standard, namespace)
        pod.unscheduled("0/2 nodes are available: 2 Insufficient memory. preemption: 0/2 nodes are available: 2 none.")
        line = deploying.wait_line("no node takes the pod")
        assert line.endswith("no node takes the pod: 0/2 nodes are available: 2 Insufficient memory\n")
        pod.write(waiting("PodInitializing"), INITIALIZING, INITIALIZING)
        pod.event("Pulling", 'Pulling image "kserve/storage-initializer:latest"')
        pod.write(waiting("ContainerCreating"), INITIALIZING, INITIALIZING)
        deploying.wait_line('pulling image "kserve/storage-initializer:latest"')
        pod.write(RUNS, INITIALIZING, INITIALIZING)
        deploying.wait_line("the model is fetched from s3://models/demo by storage-initializer")
        pod.write(FETCHED, waiting("ImagePullBackOff", "Back-off pulling image"), RUNS)
        deploying.wait_line(
            "the image kserve-vision-predictor:0.1.0 of kserve-container cannot be pulled (ImagePullBackOff)"
        )
        pod.write(started=False)
        deploying.wait_line("kserve-container starts, and loads the model")
        pod.write(ready=True)
        node.run_deployment("demo-predictor", namespace)
        refuse_route(standard, "demo-predictor", namespace, "no listener takes this host")
        deploying.wait_line("has not accepted HTTPRoute demo-predictor (NotAllowedByListeners): no listener takes this")
        with meanwhile(partial(node.bring_up, "demo", namespace)):
            done = deploying.end()
    assert done.code == 0, done.err
    assert "\x1b" not in done.out + done.err


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (
            {"fetching": ended(1, "botocore.exceptions.NoCredentialsError: Unable to locate credentials")},
            "storage-initializer cannot fetch s3://models/demo: ended with exit code 1: botocore.exceptions.NoCred",
        ),
        (
            {"predictor": waiting("CrashLoopBackOff"), "last": ended(2, "DEVICE: 'gpuu' is not a valid setting")},
            "kserve-container ends again and again, 4 times: ended with exit code 2: DEVICE: 'gpuu' is not a valid",
        ),
        (
            {"predictor": waiting("CrashLoopBackOff"), "last": ended(137, reason="OOMKilled")},
            "kserve-container was killed, since its memory limit of 2Gi is too little: give more with --memory",
        ),
        ({"predictor": waiting("ErrImagePull", "not found")}, "cannot be pulled (ErrImagePull): not found"),
        (
            {"predictor": waiting("CreateContainerConfigError", 'secret "s" not found')},
            'kserve-container cannot start (CreateContainerConfigError): secret "s" not found',
        ),
        ({}, "runs and is not ready, as while it loads the model"),
    ],
    ids=["credentials", "setting", "memory", "image", "secret", "loading"],
)
def test_status_says_what_keeps_a_pod_from_serving(
    standard: Cluster, state: dict[str, dict[str, object]], said: str
) -> None:
    namespace = standard.namespace()
    kserve_vision(standard.kubeconfig, "deploy", URI, "-n", namespace, "--no-wait")
    standard.wait_for(DEPLOYMENT, "demo-predictor", namespace)
    PlayedPod(standard, namespace).write(**state)  # type: ignore[arg-type]  # each is a state
    done = kserve_vision(standard.kubeconfig, "status", "demo", "-n", namespace)
    assert done.code == 1
    assert said in done.out


def test_ctrl_c_ends_the_waiting_and_the_inference_service_stays(standard: Cluster) -> None:
    namespace = standard.namespace()
    with running(standard.kubeconfig, "deploy", URI, "-n", namespace) as deploying:
        deploying.wait_line("has not been taken up")
        deploying.interrupt()
        done = deploying.end()
    assert done.code == 130
    assert "The InferenceService demo stays, and KServe goes on" in done.err
    assert "Traceback" not in done.err
    assert standard.get(INFERENCE_SERVICE, "demo", namespace) is not None


def test_the_waiting_ends_with_its_reason(standard: Cluster) -> None:
    namespace = standard.namespace()
    done = kserve_vision(standard.kubeconfig, "deploy", URI, "-n", namespace, "--timeout", "2")
    assert done.code == 1
    assert "demo is not ready: the Deployment demo-predictor has not been taken up" in done.err
    assert "(after 2 s)" in done.err


def test_a_second_version_is_waited_for_and_not_the_first_ones_readiness_believed(cluster: Cluster) -> None:
    namespace = cluster.namespace()
    node = Node(cluster)
    with meanwhile(partial(node.bring_up, "demo", namespace)):
        assert kserve_vision(cluster.kubeconfig, "deploy", URI, "-n", namespace).code == 0
    again = kserve_vision(
        cluster.kubeconfig, "deploy", "s3://models/demo2", "--name", "demo", "-n", namespace, "--timeout", "3"
    )
    assert again.code == 1
    assert "has not been taken up" in again.err or "has not taken up" in again.err


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"storageUri": "ftp://models/demo"}, "KServe cannot make anything of it: StorageURI not supported"),
        (
            {"runtime": "kserve-vision-no"},
            "No ServingRuntimes or ClusterServingRuntimes with the name: kserve-vision-no",
        ),
    ],
    ids=["scheme", "runtime"],
)
def test_what_kserve_says_in_an_event_only_is_read_from_it(
    standard: Cluster, change: dict[str, str], said: str
) -> None:
    """Our own `deploy` refuses both; another's manifest does not."""
    namespace = standard.namespace()
    model = {"modelFormat": {"name": "onnx"}, "runtime": "kserve-vision", "storageUri": URI, **change}
    standard.apply(inference_service({"model": model}), namespace)
    standard.until(lambda: bool(standard.events("demo", namespace)), "KServe says nothing")
    done = kserve_vision(standard.kubeconfig, "status", "demo", "-n", namespace)
    assert done.code == 1
    assert said in done.out


def test_without_the_runtime_nothing_is_applied_and_it_says_how_to_install_it(standard: Cluster) -> None:
    namespace = standard.namespace()
    done = kserve_vision(standard.kubeconfig, "deploy", URI, "-n", namespace, "--runtime", "kserve-vision-no")
    assert done.code == 1
    assert "this cluster has no runtime kserve-vision-no: install it with `kubectl apply" in done.err
    assert standard.get(INFERENCE_SERVICE, "demo", namespace) is None
    assert standard.get(CLUSTER_SERVING_RUNTIME, "kserve-vision", "") is not None


def test_an_inference_service_of_somebody_else_is_not_taken_over(standard: Cluster) -> None:
    namespace = standard.namespace()
    (before,) = standard.apply(inference_service(predictor()), namespace)
    deployed = kserve_vision(standard.kubeconfig, "deploy", URI, "-n", namespace)
    assert deployed.code == 1
    assert "there is an InferenceService demo already, which is served by its own container" in deployed.err
    deleted = kserve_vision(standard.kubeconfig, "delete", "demo", "-n", namespace)
    assert deleted.code == 1
    after = standard.get(INFERENCE_SERVICE, "demo", namespace)
    assert after is not None
    assert after["spec"] == before["spec"]
    shown = kserve_vision(standard.kubeconfig, "status", "demo", "-n", namespace)
    assert "it is not served by a runtime of ours" in shown.out
    assert "no InferenceService of ours" in kserve_vision(standard.kubeconfig, "status", "-n", namespace).err


def test_fields_that_somebody_else_applied_are_taken_over_only_when_told(standard: Cluster) -> None:
    namespace = standard.namespace()
    model = {"modelFormat": {"name": "onnx"}, "runtime": "kserve-vision", "storageUri": "s3://models/other"}
    standard.apply(inference_service({"model": model}), namespace)
    refused = kserve_vision(standard.kubeconfig, "deploy", URI, "-n", namespace, "--no-wait")
    assert refused.code == 1
    assert "kserve-vision-tests set other values of the same fields: .spec.predictor.model.storageUri" in refused.err
    assert "--force-conflicts" in refused.err
    forced = kserve_vision(standard.kubeconfig, "deploy", URI, "-n", namespace, "--no-wait", "--force-conflicts")
    assert forced.code == 0
    after = standard.get(INFERENCE_SERVICE, "demo", namespace)
    assert after is not None
    assert after["spec"]["predictor"]["model"]["storageUri"] == URI


def test_who_has_one_replica_is_told_when_it_pauses(standard: Cluster) -> None:
    namespace = standard.namespace()
    for options, is_told in (
        ((), True),
        (("--min-replicas", "1", "--max-replicas", "3"), True),
        (("--min-replicas", "2"), False),
    ):
        done = kserve_vision(standard.kubeconfig, "deploy", URI, "-n", namespace, "--dry-run", *options)
        assert done.code == 0, done.err
        assert ("one replica: nobody answers while its node is drained" in done.err) is is_told


def test_who_asks_for_the_beginning_of_keys_is_told_what_else_is_fetched(standard: Cluster) -> None:
    namespace = standard.namespace()
    for uri, is_told in (("s3://models/demo", True), ("s3://models/demo/", False)):
        done = kserve_vision(standard.kubeconfig, "deploy", uri, "-n", namespace, "--dry-run")
        assert done.code == 0, done.err
        assert ("KServe fetches all that begins so, s3://models/demo-2 too" in done.err) is is_told


def test_a_dry_run_keeps_nothing(cluster: Cluster) -> None:
    namespace = cluster.namespace()
    done = kserve_vision(cluster.kubeconfig, "deploy", URI, "-n", namespace, "--dry-run")
    assert (done.code, "would be taken" in done.err) == (0, True)
    assert cluster.get(INFERENCE_SERVICE, "demo", namespace) is None


def test_what_is_deployed_can_be_deleted(cluster: Cluster) -> None:
    namespace = cluster.namespace()
    kserve_vision(cluster.kubeconfig, "deploy", URI, "-n", namespace, "--no-wait")
    assert kserve_vision(cluster.kubeconfig, "delete", "demo", "-n", namespace).code == 0
    cluster.until(lambda: cluster.get(INFERENCE_SERVICE, "demo", namespace) is None, "it is still there")
    again = kserve_vision(cluster.kubeconfig, "delete", "demo", "-n", namespace)
    assert "there is no InferenceService demo in namespace" in again.err


def test_what_a_model_asks_for_is_merged_into_the_runtimes_containers(cluster: Cluster) -> None:
    namespace = cluster.namespace()
    options = ("--gpu", "--memory", "9Gi", "--cpu", "3", "--env", "TOP_K=3")
    done = kserve_vision(cluster.kubeconfig, "deploy", URI, "-n", namespace, "--no-wait", *options)
    assert done.code == 0, done.err
    kind = DEPLOYMENT if "standard" in str(cluster.plane.folder) else KNATIVE_SERVICE
    pod = cluster.wait_for(kind, "demo-predictor", namespace)["spec"]["template"]["spec"]
    predictor_container, transformer_container = pod["containers"]
    assert predictor_container["resources"] == {
        "requests": {"cpu": "3", "memory": "9Gi"},
        "limits": {"memory": "9Gi", "nvidia.com/gpu": "1"},
    }
    environ = {each["name"]: each.get("value") for each in predictor_container["env"]}
    assert (environ["TOP_K"], environ["DEVICE"]) == ("3", "cuda")
    assert environ["CPU_REQUEST"] == (None if kind == DEPLOYMENT else "3"), "where Kubernetes may, it says so itself"
    assert transformer_container["name"] == "transformer-container"


def test_an_api_server_that_is_away_for_a_while_is_waited_for(standard: Cluster, tmp_path: Path) -> None:
    namespace = standard.namespace()
    relay = Relay(int(standard.plane.url.rpartition(":")[2]))
    path = relayed(standard, relay, tmp_path / "relayed")
    with running(path, "deploy", URI, "-n", namespace) as deploying:
        deploying.wait_line("has not been taken up")
        relay.cut()
        deploying.wait_line("does not answer")
        relay.is_cut = False
        deploying.wait_line("has not been taken up")
        deploying.interrupt()
        done = deploying.end()
    relay.close()
    assert done.code == 130
    assert "Traceback" not in done.err


def test_a_terminal_of_40_columns_shows_the_whole_reason(standard: Cluster) -> None:
    namespace = standard.namespace()
    kserve_vision(standard.kubeconfig, "deploy", URI, "-n", namespace, "--no-wait")
    standard.wait_for(DEPLOYMENT, "demo-predictor", namespace)
    PlayedPod(standard, namespace).unscheduled("0/2 nodes are available: 2 Insufficient memory.")
    shown = on_a_terminal(standard.kubeconfig, 40, "status", "demo", "-n", namespace)
    assert "\x1b[1;31m  ready: no" in shown
    assert "no node takes the pod: 0/2 nodes are available: 2 Insufficient memory" in " ".join(shown.split())


def test_what_was_stopped_is_not_waited_for(cluster: Cluster) -> None:
    namespace = cluster.namespace()
    kserve_vision(cluster.kubeconfig, "deploy", URI, "-n", namespace, "--no-wait")
    stop = {"metadata": {"annotations": {"serving.kserve.io/stop": "true"}}}
    cluster.patch(INFERENCE_SERVICE, "demo", namespace, stop)
    cluster.wait_for(INFERENCE_SERVICE, "demo", namespace, lambda each: is_true(each, "Stopped"))
    again = kserve_vision(cluster.kubeconfig, "deploy", URI, "-n", namespace)
    assert again.code == 1
    assert "it was stopped, by the annotation serving.kserve.io/stop" in again.err


def test_several_fields_of_somebody_else_are_all_named(standard: Cluster) -> None:
    namespace = standard.namespace()
    model = {"modelFormat": {"name": "onnx"}, "runtime": "kserve-vision", "storageUri": "s3://models/other"}
    standard.apply(inference_service({"model": model, "minReplicas": 2}), namespace)
    refused = kserve_vision(standard.kubeconfig, "deploy", URI, "-n", namespace, "--no-wait")
    assert "kserve-vision-tests set other values" in refused.err
    assert ".spec.predictor.minReplicas" in refused.err
    assert ".spec.predictor.model.storageUri" in refused.err
