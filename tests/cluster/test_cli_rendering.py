"""What `kserve-vision render` prints: what the overlays hold, taken by the API server as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cluster.cli_running import MANIFESTS, kserve_vision
from tests.cluster.cluster import Cluster
from tests.cluster.command_line import CommandLine
from tests.cluster.kinds import INFERENCE_SERVICE
from tests.cluster.manifests import Manifest, manifests

URI = "s3://my-bucket/my-model/"
OURS_ALONE = "app.kubernetes.io/managed-by"


def _rendered(*arguments: str) -> Manifest:
    done = kserve_vision(None, "render", URI, *arguments)
    assert done.code == 0, done.err
    (found,) = manifests(done.out)
    return found


@pytest.mark.parametrize("mode", ["standard", "knative"])
@pytest.mark.parametrize(("overlay", "options"), [("collocated", ()), ("gpu", ("--gpu",))])
def test_it_is_the_inference_service_of_the_overlay(
    command_line: CommandLine, mode: str, overlay: str, options: tuple[str, ...]
) -> None:
    """But for the service account, which the overlay makes: without one of its own, it runs as the namespace's."""
    found = command_line.render_kustomize(MANIFESTS / "overlays" / mode / overlay)
    (theirs,) = [each for each in found if each["kind"] == "InferenceService"]
    ours = _rendered("--mode", mode, "--name", "model", "--service-account", "model", *options)
    assert ours["metadata"]["labels"].pop(OURS_ALONE) == "kserve-vision"
    assert ours == theirs


def test_it_is_what_kubectl_applies_and_what_deploy_applies(cluster: Cluster) -> None:
    by_kubectl, by_deploy = cluster.namespace(), cluster.namespace()
    done = kserve_vision(cluster.kubeconfig, "render", URI)
    cluster.command_line.kubectl(
        "apply", "--server-side", "--validate=strict", "-n", by_kubectl, "-f", "-", stdin=done.out
    )
    deployed = kserve_vision(
        cluster.kubeconfig, "deploy", URI, "-n", by_deploy, "--no-wait", "--runtime", "kserve-vision-none"
    )
    assert "no runtime kserve-vision-none" in deployed.err
    applied = cluster.get(INFERENCE_SERVICE, "my-model", by_kubectl)
    assert applied is not None
    (rendered,) = manifests(done.out)
    predictor = applied["spec"]["predictor"]
    assert predictor["model"]["storageUri"] == URI
    assert _holds(predictor, rendered["spec"]["predictor"])


def test_without_a_cluster_it_asks_for_the_mode() -> None:
    done = kserve_vision(None, "render", URI)
    assert done.code == 1
    assert "there is no kubeconfig" in done.err
    assert "say --mode standard or --mode knative, and no cluster is asked" in done.err


def test_nothing_but_yaml_is_on_the_standard_output(tmp_path: Path) -> None:
    done = kserve_vision(None, "render", URI, "--mode", "standard", COLUMNS="40")
    assert [each["kind"] for each in manifests(done.out)] == ["InferenceService"]
    assert "\x1b" not in done.out
    assert list(tmp_path.iterdir()) == []


def _holds(whole: Any, part: Any) -> bool:
    """Whether all of `part` is in `whole`, which may have more."""
    if isinstance(part, dict):
        return all(key in whole and _holds(whole[key], value) for key, value in part.items())
    if isinstance(part, list):
        return len(whole) == len(part) and all(map(_holds, whole, part))
    return bool(whole == part)
