"""What the schemas of KServe 0.15 to 0.19 say of the manifests; nothing is known of what their controllers would do."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.kserve import Mode
from tests.cluster.overlays import ROOT, overlays
from tests.cluster.refusal import Refused

LATER: Final = {Mode.STANDARD: {"canary", "restricted"}, Mode.KNATIVE: {"restricted"}}
"""The overlays that need KServe 0.20: `spec.canary` and `predictor.storageContainerName` are its."""
ELSEWHERE: Final = ("LocalModelCache", "LocalModelNodeGroup", "PodMonitor")
"""Kinds that these clusters have not."""


def _refusals(cluster: Cluster, folder: Path) -> list[Refused]:
    rendered = [each for each in cluster.command_line.render_kustomize(folder) if each["kind"] not in ELSEWHERE]
    return [refused for each in rendered if (refused := cluster.refusal(each)) is not None]


@pytest.mark.parametrize("mode", Mode)
def test_they_take_the_runtimes(earlier: Cluster, mode: Mode) -> None:
    assert not _refusals(earlier, ROOT / "runtimes" / mode.value.lower())


@pytest.mark.parametrize("mode", Mode)
def test_they_take_every_overlay_but_those_that_say_so(earlier: Cluster, mode: Mode) -> None:
    folder = ROOT / "overlays" / mode.value.lower()
    assert {each for each in overlays(mode) if _refusals(earlier, folder / each)} == LATER[mode]


def test_they_name_the_field_that_they_do_not_know(earlier: Cluster) -> None:
    (refused,) = _refusals(earlier, ROOT / "overlays/standard/restricted")
    assert "storageContainerName: field not declared in schema" in refused.message
