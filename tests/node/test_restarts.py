"""kubelet's probes find a server that is gone or hangs, and start it again."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import httpx

from rollout.kinds import condition
from tests.cluster.manifests import Manifest
from tests.node.callers import label_of
from tests.node.served import Served, container_status, last_state, server_pid

PREDICTOR, TRANSFORMER = "kserve-container", "transformer-container"


def test_a_predictor_that_is_killed_is_started_again(served: Served, cat: bytes) -> None:
    """The transformer in front of it is not ready meanwhile, nor is the pod, and it is not restarted."""
    pod = _kill(served, PREDICTOR, signal.SIGKILL)
    ready = f"http://{pod['status']['podIP']}:8080/v2/health/ready"
    served.cluster.until(lambda: httpx.get(ready, trust_env=False).status_code == 503, "the transformer stayed ready")
    gone = served.wait_for_pod(lambda each: condition(each, "Ready").get("status") == "False")
    back = served.wait_for_pod(_is_ready)
    served.wait_available()

    assert gone["metadata"]["name"] == back["metadata"]["name"] == pod["metadata"]["name"]
    assert _restarts(back, PREDICTOR) == _restarts(pod, PREDICTOR) + 1
    assert _restarts(back, TRANSFORMER) == _restarts(pod, TRANSFORMER)
    assert (last_state(back, PREDICTOR)["reason"], last_state(back, PREDICTOR)["exitCode"]) == ("Error", 137)
    assert label_of(served, cat) == "tiger cat"


def test_a_transformer_that_is_killed_is_started_again(served: Served, cat: bytes) -> None:
    pod = _kill(served, TRANSFORMER, signal.SIGKILL)
    served.wait_for_pod(lambda each: not _is_ready(each))
    back = served.wait_for_pod(_is_ready)
    served.wait_available()

    assert _restarts(back, TRANSFORMER) == _restarts(pod, TRANSFORMER) + 1
    assert _restarts(back, PREDICTOR) == _restarts(pod, PREDICTOR)
    assert label_of(served, cat) == "tiger cat"


def test_a_predictor_that_hangs_is_found_by_its_liveness_probe(
    deployed: Callable[..., Served], model_dir: Path
) -> None:
    service = deployed(model_dir, terminationGracePeriodSeconds=2)
    service.wait_available()
    pod = _kill(service, PREDICTOR, signal.SIGSTOP)
    back = service.wait_for_pod(lambda each: _restarts(each, PREDICTOR) == 1 and _is_ready(each))
    events = service.cluster.events(pod["metadata"]["name"], service.namespace)
    print("\n".join(["", *events]))

    assert back["metadata"]["name"] == pod["metadata"]["name"]
    assert "Killing: Container kserve-container failed liveness probe, will be restarted" in events
    assert any(each.startswith("Unhealthy: Liveness probe failed: Get ") for each in events)


def _kill(served: Served, container: str, how: signal.Signals) -> Manifest:
    (pod,) = served.pods()
    os.kill(server_pid(pod, container), how)
    return pod


def _is_ready(pod: Manifest) -> bool:
    return all(each["ready"] for each in pod["status"]["containerStatuses"])


def _restarts(pod: Manifest, container: str) -> int:
    return int(container_status(pod, container)["restartCount"])
