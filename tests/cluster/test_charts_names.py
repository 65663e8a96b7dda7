"""Names and labels that a user gives stay what they are, whatever YAML would read them as, stand once, and fit."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from rollout.mode import Mode
from rollout.naming import MAX_LABEL, labels_of
from tests.cluster.charts_releases import MODEL, STORED, Values, merged, one, rendered, settings
from tests.cluster.command_line import CommandFailed, CommandLine
from tests.cluster.manifests import Manifest
from tools.cache import located

PART_OF = "app.kubernetes.io/part-of"
OF = "serving.kserve.io/inferenceservice"
ALL: Values = {
    "networkPolicy": {"enabled": True},
    "monitoring": {"podMonitor": {"enabled": True}, "rules": {"enabled": True}},
}
SEPARATE: Values = {"mode": "Standard", "topology": "separate"}


@dataclass(frozen=True)
class Names:
    """Names of which one grows, and what they are made of."""

    mode: Mode
    namespace: str = "n"
    component: str = "predictor"
    candidate: bool = False
    tagged: bool = False

    @property
    def room(self) -> int:
        """The most letters, as the command line reckons."""
        return MAX_LABEL + 1 - max(map(len, self.made(1)))

    def made(self, letters: int) -> tuple[str, ...]:
        """What is made of the names, as the command line reckons."""
        grown = "d" * letters
        service, version = ("demo", grown) if self.candidate else (grown, "")
        return labels_of(
            service, self.namespace, self.mode, version=version, component=self.component, tagged=self.tagged
        )

    def values(self, letters: int) -> Values:
        """The chart's, with the name grown to so many letters."""
        grown = "d" * letters
        candidate = {"name": grown, "trafficPercent": 10, "storageUri": "s3://models/2"}
        canary = {"candidates": [candidate] if self.candidate else [], "tagRouting": self.tagged}
        topology = "separate" if self.component == "transformer" else "collocated"
        name = "demo" if self.candidate else grown
        return STORED | {"mode": self.mode.spelled, "topology": topology, "name": name, "canary": canary}


class OnceLoader(yaml.SafeLoader):
    """Takes no mapping in which a key stands twice, as the API server and Helm's own check do not."""


def _once(loader: OnceLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    pairs = loader.construct_pairs(node, deep=True)
    found = dict(pairs)
    assert len(found) == len(pairs), [key for key, _ in pairs]
    return found


OnceLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _once)


@pytest.mark.parametrize("name", ["null", "no", "true", "y"])
@pytest.mark.parametrize("topology", ["collocated", "separate"])
def test_a_release_may_have_any_name_of_kubernetes(command_line: CommandLine, name: str, topology: str) -> None:
    for values in (ALL, {"monitoring": {"serviceMonitor": {"enabled": True}}}):
        found = rendered(command_line, values | {"mode": "Standard", "topology": topology}, release=name)
        for manifest in found:
            metadata = manifest["metadata"]
            assert str(metadata["name"]).partition("-")[0] == metadata["labels"]["app.kubernetes.io/instance"] == name
        assert {value for manifest in found for value in _values_of(manifest, OF)} == {name}


@pytest.mark.parametrize(
    "names",
    [
        Names(Mode.STANDARD),
        Names(Mode.STANDARD, "production"),
        Names(Mode.STANDARD, component="transformer"),
        Names(Mode.STANDARD, "production", component="transformer"),
        Names(Mode.STANDARD, candidate=True),
        Names(Mode.STANDARD, "production", candidate=True),
        Names(Mode.KNATIVE, "a-namespace-with-a-long-name"),
        Names(Mode.KNATIVE, component="transformer"),
        Names(Mode.KNATIVE, tagged=True),
        Names(Mode.KNATIVE, component="transformer", tagged=True),
    ],
    ids=str,
)
def test_the_chart_takes_names_as_long_as_the_command_line_does(command_line: CommandLine, names: Names) -> None:
    inside = ("--namespace", names.namespace)
    assert command_line.render_chart(MODEL, *inside, *settings(names.values(names.room)))
    (longest,) = (each for each in names.made(names.room + 1) if len(each) > MAX_LABEL)
    with pytest.raises(CommandFailed, match=f"KServe makes {re.escape(longest)} of it, which has 64 characters"):
        command_line.render_chart(MODEL, *inside, *settings(names.values(names.room + 1)))


@pytest.mark.parametrize("text", ["123", "true", "null", "no", "1e3"])
def test_a_name_that_is_given_stays_one(command_line: CommandLine, text: str) -> None:
    storage = {"serviceAccountName": text, "containerName": text, "key": text, "uri": "", "path": f"{text} #1: a"}
    spec = one(rendered(command_line, {"storage": storage, "runtime": text}), "InferenceService")["spec"]["predictor"]
    assert (spec["serviceAccountName"], spec["storageContainerName"], spec["model"]["runtime"]) == (text, text, text)
    assert spec["model"]["storage"] == {"key": text, "path": f"{text} #1: a"}


def test_the_names_of_a_secret_a_candidate_and_a_transformers_storage_container_stay_names(
    command_line: CommandLine,
) -> None:
    candidate = {"name": "no", "trafficPercent": 10, "storageUri": "s3://models/2"}
    values = {"mode": "Standard", "storage": {"secretName": "123"}, "canary": {"candidates": [candidate]}}
    found = rendered(command_line, values)
    assert one(found, "ServiceAccount")["secrets"] == [{"name": "123"}]
    assert one(found, "InferenceService")["spec"]["canary"][0]["predictor"]["name"] == "no"
    apart = one(rendered(command_line, SEPARATE | {"storage": {"containerName": "123"}}), "InferenceService")
    annotation = "internal.serving.kserve.io/storage-container-name"
    assert apart["spec"]["transformer"]["annotations"] == {annotation: "123"}


def test_a_label_that_repeats_one_of_ours_stands_once(tmp_path: Path) -> None:
    given = {PART_OF: "shop", "sidecar.istio.io/inject": "true", "kserve-vision/tests": "no"}
    monitors = {"podMonitor": {"labels": {PART_OF: "p"}}, "rules": {"labels": {PART_OF: "r"}}}
    manifests = _strictly_read(tmp_path, {"labels": given, "monitoring": monitors})
    found = {each["kind"]: each["metadata"]["labels"] for each in manifests}
    parts = {kind: found[kind][PART_OF] for kind in ("InferenceService", "PodMonitor", "PrometheusRule")}
    assert parts == {"InferenceService": "shop", "PodMonitor": "p", "PrometheusRule": "r"}
    assert (found["Pod"]["sidecar.istio.io/inject"], found["Pod"]["kserve-vision/tests"]) == ("false", "demo")


def _strictly_read(home: Path, values: Values) -> list[Manifest]:
    given = settings(merged(merged(STORED, ALL), values))
    command: list[str | Path] = [located("helm"), "template", "demo", MODEL, *given]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={"HOME": str(home)})
    return [each for each in yaml.load_all(done.stdout, OnceLoader) if each]


def _values_of(part: Any, key: str) -> list[Any]:
    """What a key has, wherever it stands."""
    if isinstance(part, list):
        return [found for each in part for found in _values_of(each, key)]
    if not isinstance(part, dict):
        return []
    here = [part[key]] if key in part else []
    return here + [found for each in part.values() for found in _values_of(each, key)]
