from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.command_line import CommandFailed
from tests.cluster.daemons import Daemon, DaemonFailed
from tests.cluster.examples import inference_service, predictor
from tests.cluster.kinds import CONFIG_MAP, POD, POLICY, POLICY_BINDING, RESOURCE_DEFINITION
from tests.cluster.refusal import Refused, Refuser

LIMIT = """
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: no-forbidden-names}
spec:
  failurePolicy: Fail
  matchConstraints:
    resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [configmaps]}]
  validations: [{expression: "object.metadata.name != 'forbidden'", message: this name is forbidden}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: no-forbidden-names}
spec: {policyName: no-forbidden-names, validationActions: [Deny]}
"""


def test_kubectl_and_the_server_know_their_version(standard: Cluster) -> None:
    said = json.loads(standard.command_line.kubectl("version", "--output=json"))
    assert not said["serverVersion"]["gitVersion"].startswith("v0")
    assert not said["clientVersion"]["gitVersion"].startswith("v0")


@pytest.mark.parametrize(
    "name",
    [
        "inferenceservices.serving.kserve.io",
        "clusterservingruntimes.serving.kserve.io",
        "services.serving.knative.dev",
        "virtualservices.networking.istio.io",
        "httproutes.gateway.networking.k8s.io",
        "scaledobjects.keda.sh",
        "servicemonitors.monitoring.coreos.com",
        "prometheusrules.monitoring.coreos.com",
    ],
)
def test_kinds_that_our_manifests_use_are_there(standard: Cluster, name: str) -> None:
    assert standard.get(RESOURCE_DEFINITION, name, "") is not None


def test_a_policy_of_ours_refuses(standard: Cluster) -> None:
    namespace = standard.namespace()
    bad = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "forbidden"}}

    def refused() -> bool:
        said = standard.refusal(bad, namespace)
        return said is not None and said.by is Refuser.POLICY and "this name is forbidden" in said.message

    standard.apply(LIMIT)
    try:
        standard.until(refused, "the policy refuses nothing")
    finally:
        for kind in (POLICY_BINDING, POLICY):
            standard.delete(kind, "no-forbidden-names", "")


def test_pod_security_refuses_an_ordinary_pod_in_a_restricted_namespace(standard: Cluster) -> None:
    namespace = standard.namespace(enforce="restricted")
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "plain"}, "spec": predictor()}
    with pytest.raises(Refused, match='violates PodSecurity "restricted:latest"') as refused:
        standard.create(POD, pod, namespace)
    assert refused.value.by is Refuser.POD_SECURITY


def test_a_user_without_a_role_is_refused(standard: Cluster) -> None:
    nobody = standard.acting_as("nobody")
    with pytest.raises(Refused, match='User "nobody" cannot list resource "configmaps"') as refused:
        nobody.objects(CONFIG_MAP, "kserve")
    assert refused.value.by is Refuser.AUTHORIZATION


def test_kubectl_tells_its_user_of_an_unknown_field(standard: Cluster) -> None:
    manifest = json.dumps(inference_service(predictor(canaryTraficPercent=10)))
    for how in ("--server-side=true", "--server-side=false"):
        with pytest.raises(CommandFailed, match="canaryTraficPercent"):
            standard.command_line.kubectl("apply", how, "--filename=-", stdin=manifest)


def test_a_daemon_that_fails_is_reported_with_its_last_words(tmp_path: Path) -> None:
    daemon = Daemon([sys.executable, "-c", "raise SystemExit('the disk is full')"], tmp_path / "sample.log")
    with pytest.raises(DaemonFailed, match="sample ended with exit code 1:\nthe disk is full"):
        daemon.wait_until(lambda: False)


def test_a_daemon_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    starter = (
        "import pathlib, sys\n"
        "from tests.cluster.daemons import Daemon\n"
        f"print(Daemon(['sleep', '600'], pathlib.Path({str(tmp_path / 'sleep.log')!r})).pid, flush=True)\n"
        "sys.stdin.read()\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", starter], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = parent.stdout.readline().strip()
    _wait_until(lambda: _command_line(pid).startswith("sleep "))  # and no longer what tells the kernel
    parent.kill()
    parent.communicate()
    _wait_until(lambda: not _command_line(pid))


def _wait_until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _command_line(pid: str) -> str:
    """What a process runs; nothing, where it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except FileNotFoundError:
        return ""
