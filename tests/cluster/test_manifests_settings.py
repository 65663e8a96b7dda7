"""Whether our servers, started as an overlay's pods would start them, read what stands there, and in time."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from predictor.settings import PredictorSettings
from serving.settings import ServerSettings
from tests.cluster.kserve import Mode
from tests.cluster.manifests import Manifest
from tests.cluster.overlays import containers, deployed, environment, overlays
from transformer.settings import TransformerSettings

PARSED_BY: Final[Mapping[str, type[ServerSettings]]] = {
    "kserve-vision-predictor": PredictorSettings,
    "kserve-vision-transformer": TransformerSettings,
}
REFERENCE: Final = Path(__file__).parents[2] / "docs/reference/settings.md"
KNOWN: Final = set(re.findall(r"`([A-Z][A-Z0-9_]+)`", REFERENCE.read_text())) | {"STORAGE_URI"}
EACH: Final = [(mode.value.lower(), overlay) for mode in Mode for overlay in overlays(mode)]

each_overlay = pytest.mark.parametrize(("mode", "overlay"), EACH, ids=["-".join(each) for each in EACH])


@dataclass(frozen=True)
class _Pod:
    """A workload's pod template, and the settings of our containers in it, by the image's name."""

    template: Manifest
    settings: Mapping[str, ServerSettings]


@pytest.fixture
def parsed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, mode: str, overlay: str) -> list[_Pod]:
    """Each of the overlay's pods."""
    found = deployed(request.getfixturevalue(mode), overlay)
    return [_Pod(template, _settings(template, monkeypatch)) for template in found.templates.values()]


def _settings(template: Manifest, monkeypatch: pytest.MonkeyPatch) -> dict[str, ServerSettings]:
    ours = {_program(each): each for each in containers(template).values() if _program(each) in PARSED_BY}
    return {name: _start(name, container, monkeypatch) for name, container in ours.items()}


def _program(container: Manifest) -> str:
    name: str = container["image"].split(":")[0]
    return name


def _start(name: str, container: Manifest, monkeypatch: pytest.MonkeyPatch) -> ServerSettings:
    """Read the container's arguments and variables as its server would, `$(NAME)` filled in as the kubelet does."""
    variables = environment(container)
    assert variables.keys() <= KNOWN
    arguments = [re.sub(r"\$\((\w+)\)", lambda found: variables[found[1]], each) for each in container.get("args", ())]
    with monkeypatch.context() as patch:
        for key, value in variables.items():
            patch.setenv(key, value)
        return PARSED_BY[name].parse(arguments, name)


@each_overlay
def test_they_serve_the_ports_that_the_pod_declares_and_probes(parsed: list[_Pod]) -> None:
    for pod in parsed:
        for each in containers(pod.template).values():
            if _program(each) not in PARSED_BY:
                continue
            settings = pod.settings[_program(each)]
            served = {settings.http_port, *([settings.grpc_port] if settings.enable_grpc else [])}
            declared = {port["containerPort"] for port in each.get("ports", ())}
            probed = {each[key]["httpGet"]["port"] for key in each if key.endswith("Probe")}
            assert declared | probed <= served
            assert settings.exit_when_useless


@each_overlay
def test_no_two_servers_of_a_pod_want_one_port(parsed: list[_Pod]) -> None:
    for pod in parsed:
        wanted = [
            port
            for each in pod.settings.values()
            for port in (each.http_port, *([each.grpc_port] if each.enable_grpc else []))
        ]
        assert len(wanted) == len(set(wanted))


@each_overlay
def test_they_drain_within_the_grace_period_and_the_predictor_last(parsed: list[_Pod]) -> None:
    """Knative's grace period is the revision's timeout, 300 s as it comes."""
    for pod in parsed:
        grace = pod.template["spec"].get("terminationGracePeriodSeconds", 300)
        assert all(each.drain_delay_seconds + each.drain_timeout_seconds < grace for each in pod.settings.values())
        if len(pod.settings) > 1:
            first, last = pod.settings["kserve-vision-transformer"], pod.settings["kserve-vision-predictor"]
            assert last.drain_delay_seconds > first.drain_delay_seconds + first.drain_timeout_seconds


@each_overlay
def test_a_transformer_asks_its_predictor_by_the_way_that_is_there(parsed: list[_Pod], overlay: str) -> None:
    asked = [each for pod in parsed for each in pod.settings.values() if isinstance(each, TransformerSettings)]
    assert asked
    for each in asked:
        if not overlay.startswith("separate"):
            assert each.predictor_host.startswith("unix://")
        elif each.predictor_protocol == "grpc-v2":
            assert each.predictor_host == "model-pods:8081"
        else:
            assert each.predictor_host.startswith("model-predictor.test-")
