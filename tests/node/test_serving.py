"""What `kubectl apply` of the manifests gives: pictures in, predictions out."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from rollout.kinds import is_true
from tests.cluster.kinds import INFERENCE_SERVICE
from tests.cluster.manifests import Manifest
from tests.cluster.node import Node
from tests.e2e.doors import DOORS, Client, Door
from tests.node.served import SMALL, Served

PYTHON = "/opt/kserve-vision/bin/python"
CONTAINERS = ("kserve-container", "transformer-container")


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[Client]:
    """Connections to the Service's cluster IP."""
    connections = Client(served)  # type: ignore[arg-type]  # it reads the two addresses and no more
    yield connections
    connections.close()


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)
def test_a_picture_of_a_cat_is_a_tiger_cat_through_the_service(client: Client, cat: bytes, door: Door) -> None:
    answer = door(client, cat)

    assert (answer.is_ok, answer.label) == (True, "tiger cat")


def test_the_inference_service_is_ready_once_a_gateway_takes_its_routes(served: Served) -> None:
    """No gateway runs here: its answer is played."""
    for name in (served.name, served.workload):
        Node(served.cluster).accept_route(name, served.namespace)

    def loaded(service: Manifest) -> bool:
        return bool(service.get("status", {}).get("modelStatus", {}).get("transitionStatus") == "UpToDate")

    service = served.cluster.wait_for(
        INFERENCE_SERVICE, served.name, served.namespace, lambda each: is_true(each, "Ready") and loaded(each)
    )

    assert service["status"]["modelStatus"]["states"] == {"activeModelState": "Loaded", "targetModelState": "Loaded"}


@pytest.mark.parametrize("container", CONTAINERS)
def test_a_server_is_the_first_process_not_root_and_has_no_capability(served: Served, container: str) -> None:
    lines = _python(served, container, "print(open('/proc/1/status').read())").splitlines()
    status = {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}

    assert set(status["Uid"].split()) == set(status["Gid"].split()) == {"65532"}
    assert {int(status[each], 16) for each in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")


@pytest.mark.parametrize("container", CONTAINERS)
def test_a_server_can_write_to_its_named_mounts_alone(served: Served, container: str) -> None:
    program = """
import os
for folder in ("/", "/opt/kserve-vision", "/var/tmp", "/home", "/mnt/models", "/tmp", "/run/kserve-vision"):
    try:
        open(os.path.join(folder, "written"), "w").close()
        print(folder)
    except OSError:
        pass
"""

    assert _python(served, container, program).split() == ["/tmp", "/run/kserve-vision"]


def test_neither_container_has_a_token_of_the_cluster(served: Served) -> None:
    program = "import os; print(os.path.exists('/var/run/secrets/kubernetes.io'))"

    assert [_python(served, each, program).strip() for each in CONTAINERS] == ["False", "False"]


def test_no_service_links_reach_the_settings(served: Served) -> None:
    """The cluster's own Service is in every environment; those of the namespace are not."""
    program = "import os; print(*(name for name in os.environ if name.endswith('_SERVICE_HOST')))"

    assert _python(served, "transformer-container", program).split() == ["KUBERNETES_SERVICE_HOST"]


def test_each_container_is_told_the_cpus_that_it_asks_for(served: Served) -> None:
    """As a whole number: the kubelet rounds up."""
    program = "import os; print(os.environ['CPU_REQUEST'])"

    assert SMALL["cpu"] == "100m"
    assert [_python(served, each, program).strip() for each in CONTAINERS] == ["1", "1"]


@pytest.mark.parametrize("port", [8080, 8090], ids=["transformer", "predictor"])
def test_metrics_are_read_from_the_pod(served: Served, port: int) -> None:
    address = served.pods()[0]["status"]["podIP"]
    answer = httpx.get(f"http://{address}:{port}/metrics", trust_env=False)

    assert answer.status_code == 200
    assert "kserve_vision_" in answer.text


def _python(served: Served, container: str, program: str) -> str:
    pod = served.pods()[0]["metadata"]["name"]
    return served.kubectl("exec", pod, "--container", container, "--", PYTHON, "-I", "-c", program)
