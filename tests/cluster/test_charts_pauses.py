"""When a model pauses: what an update, a drained node and a pod that ends do to it, and what the notes say of that."""

from __future__ import annotations

from typing import Final

import pytest

from predictor.settings import PredictorSettings
from serving.settings import ServerSettings
from tests.cluster.charts_platform import Installed
from tests.cluster.charts_releases import MODEL, STORED, Release, Values, merged, settings
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


@pytest.mark.parametrize(("topology", "behind"), [("collocated", 16), ("separate", 5)])
def test_one_delay_moves_the_other_servers_and_the_grace_period(
    in_standard: Installed, topology: str, behind: int
) -> None:
    """By as much as it is longer than the runtime's, whose numbers and our servers' own are told here too."""
    assert _delays(in_standard.release({"topology": topology}), topology) == [5, 5 + behind, 30]
    values = {"topology": topology, "drainDelaySeconds": 20}
    assert _delays(in_standard.release(values), topology) == [20, 20 + behind, 45]


def _delays(release: Release, topology: str) -> list[float]:
    """Seconds that transformer and predictor wait, by their variables or settings, and that the pod has."""
    pods = [release.template("predictor")["spec"]]
    if topology == "separate":
        pods.append(release.template("transformer")["spec"])
    predictor, transformer = [each for pod in pods for each in pod["containers"]]
    (grace,) = {each["terminationGracePeriodSeconds"] for each in pods}
    return [_delay(transformer, TransformerSettings), _delay(predictor, PredictorSettings), grace]


def _delay(container: Manifest, settings: type[ServerSettings]) -> float:
    told = {each["name"]: each.get("value") for each in container["env"]}
    return float(told.get("DRAIN_DELAY_SECONDS") or settings.model_fields["drain_delay_seconds"].default)
