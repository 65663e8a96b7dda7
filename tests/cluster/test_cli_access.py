"""What the commands say where the cluster cannot be reached, does not know the user, or does not let them."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.cluster.cli_running import install_runtimes, kserve_vision, kubeconfig_of, rule, somebody
from tests.cluster.cluster import Cluster
from tests.cluster.examples import inference_service
from tests.cluster.kinds import INFERENCE_SERVICE

URI = "s3://models/demo"
MODEL = {"model": {"modelFormat": {"name": "onnx"}, "runtime": "kserve-vision", "storageUri": URI}}


@pytest.mark.parametrize(
    "command", [("status",), ("status", "demo"), ("deploy", URI, "--mode", "standard"), ("delete", "demo")]
)
def test_who_has_no_rights_reads_the_verb_and_the_resource(
    standard: Cluster, tmp_path: Path, command: tuple[str, ...]
) -> None:
    namespace = standard.namespace()
    done = kserve_vision(somebody(standard, namespace, tmp_path), *command)
    verb = "list" if command == ("status",) else "get"
    name = f"system:serviceaccount:{namespace}:somebody"
    assert done.code == 1
    assert f"{name} may not {verb} inferenceservices.serving.kserve.io in namespace {namespace}" in done.err
    assert f"ask for a role with the verb '{verb}' on 'inferenceservices.serving.kserve.io'" in done.err


def test_who_may_only_read_reads_that_patching_is_missing(standard: Cluster, tmp_path: Path) -> None:
    install_runtimes(standard)
    namespace = standard.namespace()
    user = somebody(standard, namespace, tmp_path, rule("serving.kserve.io", "inferenceservices", "get"))
    done = kserve_vision(user, "deploy", URI, "--mode", "standard")
    assert f"may not patch inferenceservices.serving.kserve.io in namespace {namespace}" in done.err


def test_what_else_may_not_be_read_is_said_beside_the_status(standard: Cluster, tmp_path: Path) -> None:
    install_runtimes(standard)
    namespace = standard.namespace()
    standard.apply(inference_service(MODEL), namespace)
    standard.wait_for(INFERENCE_SERVICE, "demo", namespace, lambda each: each.get("status"))
    user = somebody(standard, namespace, tmp_path, rule("serving.kserve.io", "inferenceservices", "get"))
    done = kserve_vision(user, "status", "demo")
    assert done.code == 1
    assert "demo is not ready" in done.out
    for resource in ("pods", "events", "deployments.apps", "httproutes.gateway.networking.k8s.io"):
        assert f"may not list {resource} in namespace {namespace}" in done.out


def test_the_rights_that_are_documented_are_enough(standard: Cluster, tmp_path: Path) -> None:
    install_runtimes(standard)
    namespace = standard.namespace()
    rules = [
        rule("serving.kserve.io", "inferenceservices", "get", "list", "patch", "create"),
        rule("", "pods,events", "list"),
        rule("apps", "deployments", "list"),
        rule("gateway.networking.k8s.io", "httproutes", "list"),
    ]
    user = somebody(standard, namespace, tmp_path, *rules)
    deployed = kserve_vision(user, "deploy", URI, "--mode", "standard", "--no-wait")
    assert deployed.code == 0, deployed.err
    shown = kserve_vision(user, "status")
    assert "may not" not in shown.out + shown.err


def test_the_mode_that_may_not_be_read_can_be_said(standard: Cluster, tmp_path: Path) -> None:
    user = somebody(standard, standard.namespace(), tmp_path)
    done = kserve_vision(user, "deploy", URI)
    assert "KServe's default mode cannot be read" in done.err
    assert "may not get configmaps in namespace kserve" in done.err
    assert "choose with --mode" in done.err


def test_a_token_that_is_not_known_is_said_to_have_expired(standard: Cluster, tmp_path: Path) -> None:
    done = kserve_vision(kubeconfig_of(standard, tmp_path / "expired", "of-yesterday"), "status")
    assert done.code == 1
    assert "does not know this user (401): the kubeconfig's token or certificate is wrong or has expired" in done.err


def test_a_namespace_that_is_not_there_is_named(standard: Cluster) -> None:
    install_runtimes(standard)
    done = kserve_vision(standard.kubeconfig, "deploy", URI, "-n", "nowhere")
    assert done.code == 1
    assert "there is no namespace nowhere: create it, or choose another with --namespace" in done.err


def test_an_api_server_that_is_away_is_named(standard: Cluster, tmp_path: Path) -> None:
    config = yaml.safe_load(standard.kubeconfig.read_text())
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    path = tmp_path / "away"
    path.write_text(yaml.safe_dump(config))
    done = kserve_vision(path, "status")
    assert done.code == 1
    assert "the API server https://127.0.0.1:1 does not answer" in done.err
    assert "Traceback" not in done.err


def test_a_certificate_of_another_authority_is_said(standard: Cluster, knative: Cluster, tmp_path: Path) -> None:
    config = yaml.safe_load(standard.kubeconfig.read_text())
    config["clusters"][0]["cluster"]["certificate-authority"] = str(knative.plane.authority.bundle)
    path = tmp_path / "other"
    path.write_text(yaml.safe_dump(config))
    done = kserve_vision(path, "status")
    assert "shows a certificate that the kubeconfig's certificate-authority did not sign" in done.err


def test_a_context_that_is_not_there_is_named_with_those_that_are(standard: Cluster) -> None:
    done = kserve_vision(standard.kubeconfig, "status", "--context", "production")
    assert "has no context 'production' (there: tests)" in done.err


@pytest.mark.parametrize("content", ["", "[1, 2", "- a list", "contexts: 7"])
def test_a_kubeconfig_that_is_none_is_one_sentence(tmp_path: Path, content: str) -> None:
    path = tmp_path / "broken"
    path.write_text(content)
    done = kserve_vision(path, "status")
    assert done.code == 1
    assert "kubeconfig cannot be used" in done.err
    assert "Traceback" not in done.err


def test_who_acts_as_another_has_the_others_rights(standard: Cluster, tmp_path: Path) -> None:
    """kubectl reads `as` of a kubeconfig; a client that left it out would have more rights than one believes."""
    path = standard.plane.write_kubeconfig(tmp_path / "as", "somebody-else")
    done = kserve_vision(path, "status")
    assert "somebody-else may not list inferenceservices.serving.kserve.io" in done.err
