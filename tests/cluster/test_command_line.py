from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.command_line import CommandFailed, CommandLine
from tests.cluster.kinds import CONFIG_MAP

CHART = """
apiVersion: v2
name: sample
version: 0.1.0
"""
TEMPLATE = """
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}-sample}
data: {colour: {{ required "a colour is wanted" .Values.colour }}}
"""


@pytest.fixture
def chart(tmp_path: Path) -> Path:
    (tmp_path / "sample/templates").mkdir(parents=True)
    (tmp_path / "sample/Chart.yaml").write_text(CHART)
    (tmp_path / "sample/templates/colour.yaml").write_text(TEMPLATE)
    return tmp_path / "sample"


def test_a_chart_is_rendered_without_a_cluster(command_line: CommandLine, chart: Path) -> None:
    (rendered,) = command_line.render_chart(chart, "--set", "colour=blue")
    assert (rendered["metadata"]["name"], rendered["data"]) == ("demo-sample", {"colour": "blue"})


def test_what_a_chart_refuses_is_told(command_line: CommandLine, chart: Path) -> None:
    with pytest.raises(CommandFailed, match="a colour is wanted"):
        command_line.render_chart(chart)


def test_a_chart_is_installed_and_upgraded(standard: Cluster, chart: Path) -> None:
    namespace = standard.namespace()
    for colour in ("blue", "green"):
        settings = ("--namespace", namespace, "--set", f"colour={colour}")
        standard.command_line.helm("upgrade", "--install", "demo", chart, *settings)
        found = standard.wait_for(CONFIG_MAP, "demo-sample", namespace)
        assert found["data"] == {"colour": colour}


def test_an_overlay_is_rendered_without_a_cluster(command_line: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "kustomization.yaml").write_text("namePrefix: my-\nresources: [one.yaml]\n")
    (tmp_path / "one.yaml").write_text("{apiVersion: v1, kind: ConfigMap, metadata: {name: one}}")
    (rendered,) = command_line.render_kustomize(tmp_path)
    assert rendered["metadata"]["name"] == "my-one"


def test_without_a_cluster_none_is_reached(command_line: CommandLine) -> None:
    with pytest.raises(CommandFailed, match="was refused"):
        command_line.kubectl("get", "namespaces")
