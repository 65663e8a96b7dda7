"""Logs of pods, and a picture through an InferenceService: by the API server, a kubelet's port, and real servers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.cluster.cli_kubelet import PlayedLog, following_kubelet, kubelet
from tests.cluster.cli_pods import FETCHED, FETCHES, INITIALIZING, PREDICTOR, RUNS, TRANSFORMER, PlayedPod
from tests.cluster.cli_running import (
    Relay,
    install_runtimes,
    kserve_vision,
    kubeconfig_of,
    relayed,
    rule,
    running,
    somebody,
)
from tests.cluster.cluster import Cluster
from tests.cluster.kinds import DEPLOYMENT, KNATIVE_SERVICE
from tests.cluster.node import Node
from tests.photos import encoded, photo
from tests.servers import RunningPair

MODEL = "efficientnet-lite0"
"""What the servers of these tests call their model, and so the InferenceService."""
LOGS = {
    FETCHES: "copied model.onnx\n",
    PREDICTOR: "loading\nready\n",
    TRANSFORMER: "listening \x1b[2J\n",
    f"{PREDICTOR}!": "DEVICE: 'gpuu' is no device\n",
}


@pytest.fixture(scope="module")
def cat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pictures") / "cat.jpg"
    path.write_bytes(encoded(photo("chelsea"), "JPEG"))
    return path


@pytest.fixture
def namespace(standard: Cluster) -> str:
    """A namespace with a deployed model, whose workload is there."""
    return _deployed(standard)


@pytest.fixture
def pod(standard: Cluster, namespace: str) -> PlayedPod:
    return PlayedPod(standard, namespace, MODEL)


def _deployed(cluster: Cluster) -> str:
    install_runtimes(cluster)
    namespace = cluster.namespace()
    done = kserve_vision(cluster.kubeconfig, "deploy", f"s3://models/{MODEL}", "-n", namespace, "--no-wait")
    assert done.code == 0, done.err
    kind = DEPLOYMENT if "standard" in str(cluster.plane.folder) else KNATIVE_SERVICE
    cluster.wait_for(kind, f"{MODEL}-predictor", namespace)
    return namespace


def test_logs_of_all_containers_say_whose_each_line_is(standard: Cluster, pod: PlayedPod) -> None:
    with kubelet(standard, "node-1", LOGS):
        done = kserve_vision(standard.kubeconfig, "logs", MODEL, "-n", pod.namespace)
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == [
        "x7k2p storage-initializer  copied model.onnx",
        "x7k2p predictor  loading",
        "x7k2p predictor  ready",
        "x7k2p transformer  listening ?[2J",
    ]


def test_followed_logs_are_merged_and_end_with_their_containers(standard: Cluster, pod: PlayedPod) -> None:
    pod.write(predictor=FETCHED, transformer=FETCHED)
    with kubelet(standard, "node-1", LOGS):
        done = kserve_vision(standard.kubeconfig, "logs", MODEL, "-n", pod.namespace, "--follow")
    assert done.code == 0
    assert sorted(line.split()[1] for line in done.out.splitlines()) == [
        "predictor",
        "predictor",
        "storage-initializer",
        "transformer",
    ]


def test_a_container_that_has_not_started_is_awaited_and_that_is_said_once(standard: Cluster, pod: PlayedPod) -> None:
    logs = {each: PlayedLog(has_started=False) for each in (FETCHES, PREDICTOR, TRANSFORMER)}
    with (
        following_kubelet(standard, "node-1", logs),
        running(standard.kubeconfig, "logs", MODEL, "-n", pod.namespace, "--follow") as following,
    ):
        for _ in logs:
            following.wait_line("it has not started yet (Pending); asking again")
        logs[FETCHES].has_started = True
        pod.write(RUNS, INITIALIZING, INITIALIZING)
        for _ in (PREDICTOR, TRANSFORMER):
            following.wait_line("it has not started yet (PodInitializing); asking again")
        logs[FETCHES].write("copied")
        following.out.wait("x7k2p storage-initializer  copied")
        logs[FETCHES].end()
        logs[PREDICTOR].has_started = logs[TRANSFORMER].has_started = True
        pod.write(ready=True)
        for container in (PREDICTOR, TRANSFORMER):
            logs[container].write(f"{container} listens")
            following.out.wait(f"{container} listens")
        _end(pod, logs)
        done = following.end()
    assert done.code == 0
    assert done.err.count("has not started") == 5
    assert len(done.out.splitlines()) == 3


@pytest.fixture
def growing(standard: Cluster, pod: PlayedPod) -> Iterator[dict[str, PlayedLog]]:
    """The logs of a pod that serves, which grow."""
    pod.write(ready=True)
    logs = {FETCHES: PlayedLog(), PREDICTOR: PlayedLog(), TRANSFORMER: PlayedLog()}
    logs[FETCHES].end()
    with following_kubelet(standard, "node-1", logs):
        yield logs


def _end(pod: PlayedPod, logs: dict[str, PlayedLog]) -> None:
    pod.write(predictor=FETCHED, transformer=FETCHED)
    for each in logs.values():
        each.end()


def test_followed_logs_go_on_after_the_api_server_was_away(
    standard: Cluster, pod: PlayedPod, growing: dict[str, PlayedLog], tmp_path: Path
) -> None:
    relay = Relay(int(standard.plane.url.rpartition(":")[2]))
    path = relayed(standard, relay, tmp_path / "relayed")
    with running(path, "logs", MODEL, "-n", pod.namespace, "--follow") as following:
        growing[PREDICTOR].write("one")
        growing[TRANSFORMER].write("a")
        following.out.wait("one")
        relay.cut()
        told = [following.wait_line("asking again") for _ in range(2)]
        growing[PREDICTOR].write("two")
        relay.is_cut = False
        following.out.wait("two")
        growing[TRANSFORMER].write("b")
        following.out.wait("b")
        _end(pod, growing)
        done = following.end()
    relay.close()
    assert done.code == 0
    assert {line.split(":")[0] for line in told} <= {"x7k2p predictor", "x7k2p transformer"}
    assert "Traceback" not in done.err
    assert sorted(done.out.splitlines()) == [
        "x7k2p predictor  one",
        "x7k2p predictor  two",
        "x7k2p transformer  a",
        "x7k2p transformer  b",
    ]


def test_one_followed_log_that_its_node_breaks_off_is_gone_on_with_beside_the_others(
    standard: Cluster, pod: PlayedPod, growing: dict[str, PlayedLog]
) -> None:
    predictor, transformer = growing[PREDICTOR], growing[TRANSFORMER]
    with running(standard.kubeconfig, "logs", MODEL, "-n", pod.namespace, "--follow") as following:
        predictor.write("one")
        following.out.wait("one")
        predictor.break_off()
        standard.until(lambda: len(predictor.asked) > 1, "it was not asked again")
        transformer.write("a")
        following.out.wait("a")
        predictor.write("two")
        following.out.wait("two")
        assert len(transformer.asked) == 1
        _end(pod, growing)
        done = following.end()
    assert done.code == 0
    assert done.out.count("one") == 1


def test_of_a_followed_log_whose_pod_is_gone_that_is_said(
    standard: Cluster, pod: PlayedPod, growing: dict[str, PlayedLog]
) -> None:
    with running(standard.kubeconfig, "logs", MODEL, "-n", pod.namespace, "--follow") as following:
        for container, text in ((PREDICTOR, "one"), (TRANSFORMER, "a")):
            growing[container].write(text)
            following.out.wait(text)
        standard.command_line.kubectl(
            "delete", "pod", pod.name, "-n", pod.namespace, "--grace-period=0", "--force", "--wait=false"
        )
        growing[PREDICTOR].break_off()
        following.wait_line(f"x7k2p predictor: pod {pod.name} is gone")
        growing[TRANSFORMER].write("b")
        following.out.wait("b")
        growing[TRANSFORMER].end()
        following.wait_line(f"x7k2p transformer: pod {pod.name} is gone")
        done = following.end()
    assert done.code == 0


def test_what_ended_before_is_not_followed(standard: Cluster) -> None:
    done = kserve_vision(standard.kubeconfig, "logs", MODEL, "--follow", "--previous")
    assert (done.code, "--follow and --previous" in done.err) == (2, True)


def test_the_logs_before_a_crash_are_shown_and_what_has_none_is_said(standard: Cluster, pod: PlayedPod) -> None:
    with kubelet(standard, "node-1", LOGS):
        done = kserve_vision(standard.kubeconfig, "logs", MODEL, "-n", pod.namespace, "--previous")
    assert done.code == 0
    assert done.out == "x7k2p predictor  DEVICE: 'gpuu' is no device\n"
    assert "x7k2p transformer: " in done.err
    assert 'previous terminated container "transformer-container" not found' in done.err


def test_logs_of_what_has_no_pods_or_is_not_there(standard: Cluster, namespace: str) -> None:
    none = kserve_vision(standard.kubeconfig, "logs", MODEL, "-n", namespace)
    assert (none.code, f"{MODEL} has no pods: `kserve-vision status" in none.err) == (1, True)
    away = kserve_vision(standard.kubeconfig, "logs", "other", "-n", namespace)
    assert f"there is no InferenceService other in namespace {namespace}" in away.err


def test_logs_of_a_node_that_does_not_answer_are_a_sentence(standard: Cluster, pod: PlayedPod) -> None:
    done = kserve_vision(standard.kubeconfig, "logs", MODEL, "-n", pod.namespace)
    assert done.code == 1
    assert "Traceback" not in done.err
    assert "node-1" in done.err


def test_a_picture_goes_through_the_api_server_where_the_host_is_not_known(
    standard: Cluster, pod: PlayedPod, pair: RunningPair, cat: Path
) -> None:
    Node(standard).make_ready(MODEL, pod.namespace)
    pod.write(ready=True)
    ports = {8080: pair.transformer.ports.http, 8081: pair.transformer.ports.grpc}
    with kubelet(standard, "node-1", ports=ports):
        done = kserve_vision(standard.kubeconfig, "test", MODEL, cat, "-n", pod.namespace)
    assert done.code == 0, done.err
    assert "tiger cat" in done.out
    assert "scores FP32" in done.out or "FP32 [1" in done.out
    assert f"REST, by pod {pod.name}, since {MODEL}-{pod.namespace}.example.com is not known here" in done.err
    assert "gRPC, by pod" in done.err


def test_a_picture_goes_to_the_gateways_address_under_the_models_host(
    knative: Cluster, pair: RunningPair, cat: Path
) -> None:
    namespace = _deployed(knative)
    Node(knative).make_ready(MODEL, namespace)
    address = f"127.0.0.1:{pair.transformer.ports.http}"
    done = kserve_vision(knative.kubeconfig, "test", MODEL, cat, "-n", namespace, "--address", address)
    assert done.code == 0, done.err
    assert "tiger cat" in done.out
    assert f"REST, by the gateway at {address}, as host {MODEL}.{namespace}.example.com" in done.err
    assert "gRPC: it has no port for it" in done.err


def test_a_gateway_that_is_none_is_said(standard: Cluster, namespace: str, cat: Path) -> None:
    Node(standard).make_ready(MODEL, namespace)
    closed = kserve_vision(standard.kubeconfig, "test", MODEL, cat, "-n", namespace, "--address", "127.0.0.1:1")
    assert (closed.code, "REST: 127.0.0.1:1 does not answer" in closed.err) == (1, True)


def test_what_is_not_ready_cannot_be_tested_and_says_where_to_look(
    standard: Cluster, namespace: str, cat: Path
) -> None:
    early = kserve_vision(standard.kubeconfig, "test", MODEL, cat, "-n", namespace)
    assert (early.code, f"{MODEL} has no address yet: `kserve-vision status" in early.err) == (1, True)
    Node(standard).make_ready(MODEL, namespace)
    without = kserve_vision(standard.kubeconfig, "test", MODEL, cat, "-n", namespace)
    assert "no pod is ready: give the gateway's --address" in without.err


def test_a_pods_own_answer_cannot_be_forwarded_for_another_user(
    standard: Cluster, pod: PlayedPod, cat: Path, tmp_path: Path
) -> None:
    """The client would forward as the user who acts, with that one's rights."""
    Node(standard).make_ready(MODEL, pod.namespace)
    pod.write(ready=True)
    path = kubeconfig_of(standard, tmp_path / "as", standard.plane.token)
    config = yaml.safe_load(path.read_text())
    config["users"][0]["user"] |= {"as": "somebody", "as-groups": ["readers", "system:masters"]}
    path.write_text(yaml.safe_dump(config))
    done = kserve_vision(path, "test", MODEL, cat, "-n", pod.namespace)
    assert done.code == 1
    assert "the kubeconfig acts as another user" in done.err


def test_the_rights_that_are_documented_are_enough_for_logs_and_a_picture(
    standard: Cluster, pod: PlayedPod, pair: RunningPair, cat: Path, tmp_path: Path
) -> None:
    Node(standard).make_ready(MODEL, pod.namespace)
    pod.write(ready=True)
    reading = [rule("serving.kserve.io", "inferenceservices", "get"), rule("", "pods", "list")]
    rights = {"logs": rule("", "pods/log", "get"), "test": rule("", "pods/portforward", "get", "create")}
    ports = {8080: pair.transformer.ports.http, 8081: pair.transformer.ports.grpc}
    with kubelet(standard, "node-1", LOGS, ports):
        for command, right in rights.items():
            picture = [cat] if command == "test" else []
            without = somebody(standard, pod.namespace, tmp_path, *reading)
            refused = kserve_vision(without, command, MODEL, *picture)
            assert refused.code == 1
            assert right["resources"][0] in refused.err
            enough = somebody(standard, pod.namespace, tmp_path, *reading, right)
            done = kserve_vision(enough, command, MODEL, *picture)
            assert done.code == 0, done.err
