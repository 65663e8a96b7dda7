"""Records what `status` and `deploy` see, from a real API server, for the tests of the sentences about it.

`.venv/bin/python -m tests.cluster.cli_recording` writes tests/cli/recorded_clusters/ anew.
"""

from __future__ import annotations

import dataclasses
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from cli.cluster.observed import observe
from rollout.kubeconfig import Target, connect
from tests.cluster.cli_pods import FETCHED, INITIALIZING, RUNS, PlayedPod, ended, refuse_route, waiting
from tests.cluster.cli_running import install_runtimes
from tests.cluster.cluster import Cluster
from tests.cluster.control_plane import running_control_plane
from tests.cluster.examples import inference_service
from tests.cluster.kinds import DEPLOYMENT, HTTP_ROUTE, INFERENCE_SERVICE, KNATIVE_SERVICE
from tests.cluster.kserve import Mode, install_kserve
from tests.cluster.manifests import Manifest
from tests.cluster.node import Node

FOLDER: Final = Path(__file__).parents[1] / "cli/recorded_clusters"
SETTLE_S: Final = 1.0
"""For the controller to have seen what was written."""
NO_MEMORY: Final = (
    "0/2 nodes are available: 2 Insufficient memory. no new claims to deallocate, preemption: 0/2 nodes are available."
)


def model(**fields: str) -> Manifest:
    """A model that our runtime serves."""
    whole = {"runtime": "kserve-vision", "storageUri": "s3://models/demo", **fields}
    return {"model": {"modelFormat": {"name": "onnx"}, **whole}}


def record(cluster: Cluster, namespace: str, name: str) -> None:
    """Write down what is seen of the InferenceService `demo`."""
    time.sleep(SETTLE_S)
    (seen,) = observe(connect(Target(cluster.kubeconfig, None, namespace)), "demo")
    values = dataclasses.asdict(seen)
    del values["answers"], values["withheld"]
    text = json.dumps(_without_fields(values), sort_keys=True, separators=(",", ":"))
    (FOLDER / f"{name}.json").write_text(text.replace(namespace, "vision") + "\n")


def record_standard(cluster: Cluster) -> None:
    """From a Deployment that nobody takes up to one that is ready, and what never becomes one."""
    namespace, node = cluster.namespace(), Node(cluster)
    cluster.apply(inference_service(model()), namespace)
    cluster.wait_for(DEPLOYMENT, "demo-predictor", namespace)
    record(cluster, namespace, "no-controller-manager")
    _record_pod(cluster, namespace)
    node.run_deployment("demo-predictor", namespace)
    cluster.wait_for(HTTP_ROUTE, "demo-predictor", namespace)
    record(cluster, namespace, "no-gateway")
    refuse_route(cluster, "demo-predictor", namespace, "no listener takes this host")
    record(cluster, namespace, "route-refused")
    node.make_ready("demo", namespace)
    record(cluster, namespace, "ready")
    _record_canary(cluster, namespace, node)
    for name, change in (
        ("unknown-scheme", {"storageUri": "ftp://models/demo"}),
        ("no-runtime", {"runtime": "kserve-vision-no"}),
    ):
        other = cluster.namespace()
        cluster.apply(inference_service(model(**change)), other)
        record(cluster, other, name)


def _record_pod(cluster: Cluster, namespace: str) -> None:
    pod = PlayedPod(cluster, namespace)
    pod.unscheduled(NO_MEMORY)
    record(cluster, namespace, "unschedulable")
    pod.write(waiting("ContainerCreating"), INITIALIZING, INITIALIZING)
    pod.event("Pulling", 'Pulling image "kserve/storage-initializer:latest"')
    record(cluster, namespace, "pulling")
    crash = waiting("CrashLoopBackOff", "back-off 40s restarting failed container")
    credentials = "botocore.exceptions.NoCredentialsError: Unable to locate credentials"
    states: dict[str, dict[str, Any]] = {
        "fetching": {"fetching": RUNS, "predictor": INITIALIZING, "transformer": INITIALIZING},
        "no-credentials": {
            "fetching": ended(1, credentials),
            "predictor": INITIALIZING,
            "transformer": INITIALIZING,
        },
        "image-pull-back-off": {"fetching": FETCHED, "predictor": waiting("ImagePullBackOff", "Back-off pulling")},
        "crash-loop": {"predictor": crash, "last": ended(2, "DEVICE: 'gpuu' is no device")},
        "out-of-memory": {"predictor": crash, "last": ended(137, reason="OOMKilled")},
        "loading": {},
    }
    for name, state in states.items():
        pod.write(**state)
        record(cluster, namespace, name)
    pod.write(ready=True)


def _record_canary(cluster: Cluster, namespace: str, node: Node) -> None:
    candidate = {"trafficPercent": 30, "predictor": {"name": "v2", **model(storageUri="s3://models/2")}}
    cluster.apply(inference_service(model() | {"minReplicas": 4}, canary=[candidate]), namespace)
    node.run_deployment("demo-v2-predictor", namespace)
    cluster.wait_for(INFERENCE_SERVICE, "demo", namespace, _has_ready_canary)
    node.bring_up("demo", namespace)
    time.sleep(SETTLE_S)
    node.bring_up("demo", namespace)
    record(cluster, namespace, "canary-without-traffic")


def record_knative(cluster: Cluster) -> None:
    """A Knative Service that nobody takes up, and a canary of it that fails, and that serves."""
    namespace, node = cluster.namespace(), Node(cluster)
    cluster.apply(inference_service(model()), namespace)
    cluster.wait_for(KNATIVE_SERVICE, "demo-predictor", namespace)
    record(cluster, namespace, "knative-not-taken-up")
    node.make_ready("demo", namespace)
    candidate = model(storageUri="s3://models/2") | {"canaryTrafficPercent": 30}
    cluster.apply(inference_service(candidate), namespace)
    cluster.wait_for(KNATIVE_SERVICE, "demo-predictor", namespace, lambda each: len(each["spec"]["traffic"]) > 1)
    node.roll_out("demo-predictor", namespace, ready=False)
    record(cluster, namespace, "knative-revision-failed")
    node.roll_out("demo-predictor", namespace)
    record(cluster, namespace, "knative-canary")


@contextmanager
def _running(mode: Mode) -> Iterator[Cluster]:
    with (
        tempfile.TemporaryDirectory() as folder,
        running_control_plane(Path(folder)) as plane,
        plane.client() as client,
    ):
        cluster = Cluster(plane, client)
        install_kserve(cluster, mode)
        install_runtimes(cluster)
        yield cluster


def _has_ready_canary(service: Manifest) -> bool:
    return any(each.get("ready") for each in service["status"].get("canaryStatuses", ()))


def _without_fields(value: Any) -> Any:
    """Without the lists of managed fields: only who wrote when is read."""
    if isinstance(value, dict):
        return {key: _without_fields(each) for key, each in value.items() if key != "fieldsV1"}
    return [_without_fields(each) for each in value] if isinstance(value, (list, tuple)) else value


def main() -> None:
    """Record all."""
    FOLDER.mkdir(exist_ok=True)
    with _running(Mode.STANDARD) as cluster:
        record_standard(cluster)
    with _running(Mode.KNATIVE) as cluster:
        record_knative(cluster)


if __name__ == "__main__":
    main()
