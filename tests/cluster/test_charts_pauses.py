"""When a model pauses: what an update, a drained node and a pod that ends do to it, and what the notes say of that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pytest

from predictor.settings import PredictorSettings
from serving.settings import ServerSettings
from tests.cluster.charts_platform import Installed
from tests.cluster.charts_releases import MODEL, STORED, Values, merged, settings
from tests.cluster.command_line import CommandLine
from tests.cluster.manifests import Manifest
from transformer.settings import TransformerSettings

STANDARD: Final[Values] = {"mode": "Standard"}
SEPARATE: Final[Values] = STANDARD | {"topology": "separate"}
TWO: Final[Values] = {"autoscaling": {"minReplicas": 2}}
NO_MORE: Final[Values] = {"deploymentStrategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}}
LONE: Final = (
    "One replica of the predictor: a drained node takes the only pod, and the model pauses until another is ready."
)
BUDGET: Final = "The PodDisruptionBudget does not prevent that"
UPDATE: Final = "Each update pauses it"
SPARE: Final = "waits for a GPU more than there are now"


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (STANDARD, {LONE, BUDGET, "Where it must not pause: autoscaling.minReplicas=2."}),
        ({}, {LONE, BUDGET}),
        (STANDARD | {"podDisruptionBudget": {"enabled": False}}, {LONE}),
        (STANDARD | TWO, set()),
        (STANDARD | TWO | NO_MORE, set()),
        (STANDARD | NO_MORE, {LONE, BUDGET, UPDATE}),
        (STANDARD | TWO | {"deploymentStrategy": {"type": "Recreate"}}, {UPDATE}),
        (STANDARD | TWO | {"accelerator": "gpu"}, {SPARE}),
        (STANDARD | TWO | NO_MORE | {"accelerator": "gpu"}, set()),
        ({"mode": "Knative", "accelerator": "gpu"}, {LONE, BUDGET}),
        (SEPARATE, {"One replica of the predictor and of the transformer: a drained node", BUDGET}),
        (
            SEPARATE | TWO | {"transformer": {"minReplicas": 1}},
            {"One replica of the transformer: a", BUDGET, "Where it must not pause: transformer.minReplicas=2."},
        ),
        ({"mode": "Knative", "autoscaling": {"type": "rps", "minReplicas": 0, "maxReplicas": 3}}, set()),
    ],
    ids=lambda each: " ".join(sorted(each)) if isinstance(each, set) else str(each),
)  # fmt: skip
def test_the_notes_say_when_the_model_pauses(command_line: CommandLine, values: Values, says: set[str]) -> None:
    notes = _notes(command_line, values)
    assert {each for each in says if each not in notes} == set()
    assert {each for each in (LONE, BUDGET, UPDATE, SPARE) if each in notes} == says & {LONE, BUDGET, UPDATE, SPARE}
    assert ("must not pause" in notes) == ("One replica of" in notes)


def test_the_notes_say_that_the_test_needs_an_image_from_somewhere(command_line: CommandLine) -> None:
    says = "The image kserve-vision-transformer:0.1.0, of `helm test`"
    assert f"{says}, has no registry in its name: set images.registry" in _notes(command_line, {})
    assert f"{says} and the transformer, has no registry" in _notes(command_line, SEPARATE)
    assert says not in _notes(command_line, {"images": {"registry": "registry.example.com/vision"}})


def _notes(command_line: CommandLine, values: Values) -> str:
    given = settings(merged(STORED, values))
    return command_line.helm("install", "demo", MODEL, "--dry-run=client", *given).partition("\nNOTES:\n")[2]


def test_a_strategy_is_that_of_every_deployment(in_standard: Installed) -> None:
    strategy = {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}
    release = in_standard.release({"topology": "separate", "deploymentStrategy": strategy})
    for component in ("predictor", "transformer"):
        found = release.workload(f"demo-{component}")["spec"]["strategy"]
        assert found == strategy | {"type": "RollingUpdate"}


DRAINS: Final[Values] = {"drainDelaySeconds": 5, "drainTimeoutSeconds": 15}
"""What the runtimes and our servers' own settings come to."""


@dataclass(frozen=True)
class Ends:
    """When a server that was told to end takes no more, and when it has ended, in seconds; and what its pod has."""

    closes: float
    ended: float
    killed: float


@pytest.mark.parametrize("topology", ["collocated", "separate"])
@pytest.mark.parametrize("values", [{"drainDelaySeconds": 5}, {"drainTimeoutSeconds": 15}, DRAINS], ids=" ".join)
def test_the_chart_reckons_with_what_the_runtimes_and_the_servers_settings_say(
    in_standard: Installed, topology: str, values: Values
) -> None:
    of_the_runtime, of_the_chart = _ends(in_standard, topology, {}), _ends(in_standard, topology, values)
    assert of_the_chart == of_the_runtime
    assert {each.killed for each in of_the_runtime} == {30}


@pytest.mark.parametrize("values", [{}, {"drainDelaySeconds": 20}, {"drainTimeoutSeconds": 60}], ids=str)
def test_a_predictor_in_the_same_pod_takes_requests_until_the_transformers_last_one_is_answered(
    in_standard: Installed, values: Values
) -> None:
    predictor, transformer = _ends(in_standard, "collocated", values)
    given = DRAINS | values
    assert transformer.closes == given["drainDelaySeconds"]
    assert transformer.ended == sum(given.values())
    assert transformer.ended < predictor.closes < predictor.ended < predictor.killed == transformer.killed


@pytest.mark.parametrize("values", [{}, {"drainDelaySeconds": 20}, {"drainTimeoutSeconds": 60}], ids=str)
def test_what_a_predictor_in_pods_of_its_own_has_accepted_has_as_long_to_end(
    in_standard: Installed, values: Values
) -> None:
    predictor, transformer = _ends(in_standard, "separate", values)
    given = DRAINS | values
    assert {each.ended - each.closes for each in (predictor, transformer)} == {given["drainTimeoutSeconds"]}
    assert transformer.closes == given["drainDelaySeconds"] < predictor.closes
    assert predictor.ended < predictor.killed == transformer.killed


def _ends(installed: Installed, topology: str, values: Values) -> tuple[Ends, Ends]:
    """Of the predictor and the transformer, by their variables or settings."""
    release = installed.release({"topology": topology} | values)
    pods = [release.template("predictor")["spec"]]
    if topology == "separate":
        pods.append(release.template("transformer")["spec"])
    predictor, transformer = [(each, pod) for pod in pods for each in pod["containers"]]
    return _end(*predictor, PredictorSettings), _end(*transformer, TransformerSettings)


def _end(container: Manifest, pod: Manifest, settings: type[ServerSettings]) -> Ends:
    told = {each["name"]: each.get("value") for each in container["env"]}
    delay, timeout = (
        float(told.get(name.upper()) or settings.model_fields[name].default)
        for name in ("drain_delay_seconds", "drain_timeout_seconds")
    )
    return Ends(delay, delay + timeout, pod["terminationGracePeriodSeconds"])
