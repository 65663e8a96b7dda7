"""Which names the platform's admission policy refuses for what KServe and Knative make of them, and at which writes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from rollout.mode import Mode
from rollout.naming import MAX_LABEL, labels_of, longest_service
from tests.cluster.charts_platform import Installed
from tests.cluster.charts_policy import ALONE, SEPARATE, STANDARD, Bad, canary_of, check, check_in, model_spec
from tests.cluster.cluster import Cluster
from tests.cluster.examples import inference_service
from tests.cluster.kinds import DEPLOYMENT, INFERENCE_SERVICE, KNATIVE_SERVICE, NAMESPACE
from tests.cluster.knative_check import knative_refusals
from tests.cluster.manifests import Manifest
from tests.cluster.refusal import Refuser

TAGS = "serving.kserve.io/enable-tag-routing"


@dataclass(frozen=True)
class Named:
    """An InferenceService in Standard mode of which one name grows, and the names that it is made of."""

    grows: Callable[[str], Manifest]
    of: Callable[[str, str], tuple[str, ...]]
    """What is made of the name that grows, in a namespace, as the command line reckons."""
    is_short: bool = True
    """Whether its namespace's name is so short that the label is longer than a host's first part."""

    def made(self, letters: int, namespace: str) -> tuple[str, ...]:
        """What is made of it where the name has so many letters."""
        return self.of("d" * letters, namespace)

    def room(self, namespace: str) -> int:
        """The most letters."""
        return MAX_LABEL + 1 - max(map(len, self.made(1, namespace)))

    def manifest(self, letters: int) -> Manifest:
        """With the name grown to so many letters."""
        return self.grows("d" * letters)


def _of_service(name: str, namespace: str, component: str = "predictor") -> tuple[str, ...]:
    return labels_of(name, namespace, Mode.STANDARD, component=component)


def _of_version(name: str, namespace: str) -> tuple[str, ...]:
    return labels_of("demo", namespace, Mode.STANDARD, version=name)


def _of_model(name: str) -> Manifest:
    return inference_service(model_spec(), name=name)


def _of_canary(name: str) -> Manifest:
    return canary_of(name=name)


NAMED = {
    "of a predictor, for the label": Named(_of_model, _of_service),
    "of a predictor, for a host": Named(_of_model, _of_service, is_short=False),
    "of a transformer": Named(
        lambda name: inference_service(model_spec(ALONE), transformer=SEPARATE, name=name),
        partial(_of_service, component="transformer"),
    ),
    "of a predictor that has one of its own": Named(lambda name: inference_service(model_spec(name=name)), _of_version),
    "of a canary": Named(_of_canary, _of_version),
    "of a canary, for a host": Named(_of_canary, _of_version, is_short=False),
}


@pytest.fixture(scope="module")
def short(in_standard: Installed) -> str:
    """A namespace with a name of one letter."""
    in_standard.cluster.create(NAMESPACE, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}})
    return "n"


@pytest.mark.parametrize("what", NAMED)
def test_the_longest_name_that_the_policy_takes_is_the_longest_that_kserve_takes(
    in_standard: Installed, short: str, what: str
) -> None:
    cluster, named = in_standard.cluster, NAMED[what]
    namespace = short if named.is_short else cluster.namespace()
    room = named.room(namespace)
    (longest,) = (each for each in named.made(room + 1, namespace) if len(each) > MAX_LABEL)
    says = (
        f"KServe makes {longest} of it, which has 64 characters, and a label or a part of a host name has 63 at most."
    )
    check_in(namespace, cluster, Bad(named.manifest(room + 1), says))
    (good,) = cluster.apply(named.manifest(room), namespace)
    label, _ = named.made(room, namespace)
    cluster.wait_for(DEPLOYMENT, label.removeprefix("isvc."), namespace)
    cluster.delete(INFERENCE_SERVICE, good["metadata"]["name"], namespace)


def test_without_the_policy_longer_names_fail_in_the_controller(in_standard: Installed, short: str) -> None:
    cluster = in_standard.cluster
    _without_policy(in_standard)
    for what, named in NAMED.items():
        namespace = short if named.is_short else cluster.namespace()
        (longer,) = cluster.apply(named.manifest(named.room(namespace) + 1), namespace)
        about = longer["metadata"]["name"], namespace
        cluster.until(partial(_is_too_long, cluster, *about), f"KServe takes a longer name {what}")
        cluster.delete(INFERENCE_SERVICE, *about)
    _with_policy(in_standard)


LATER: dict[str, tuple[dict[str, Any], str]] = {
    "a transformer": ({"predictor": model_spec(ALONE), "transformer": SEPARATE}, "{}-transformer"),
    "a name of the predictor": ({"predictor": model_spec(name="p")}, "{}-p-predictor"),
    "a canary": ({"predictor": model_spec(), "canary": canary_of()["spec"]["canary"]}, "{}-v2-predictor"),
}


@pytest.mark.parametrize("what", LATER)
def test_what_makes_a_name_too_long_later_is_refused_then(in_standard: Installed, short: str, what: str) -> None:
    cluster, name = in_standard.cluster, "d" * longest_service(short, Mode.STANDARD)
    spec, workload = LATER[what]
    cluster.apply(inference_service(model_spec(), name=name, annotations=STANDARD), short)
    bad = inference_service(name=name, annotations=STANDARD, **spec)
    check_in(short, cluster, Bad(bad, f"KServe makes isvc.{workload.format(name)} of it"))
    cluster.apply(inference_service(model_spec(minReplicas=2), name=name, annotations=STANDARD), short)
    cluster.delete(INFERENCE_SERVICE, name, short)


def test_a_name_that_was_taken_before_hinders_no_other_edit(in_standard: Installed) -> None:
    cluster, namespace = in_standard.cluster, in_standard.cluster.namespace()
    _without_policy(in_standard)
    cluster.apply(inference_service(model_spec(), name="d" * 60, annotations=STANDARD), namespace)
    _with_policy(in_standard)
    cluster.apply(inference_service(model_spec(minReplicas=2), name="d" * 60, annotations=STANDARD), namespace)
    canary = canary_of()["spec"]["canary"]
    worse = inference_service(model_spec(), name="d" * 60, annotations=STANDARD, canary=canary)
    check_in(namespace, cluster, Bad(worse, f"KServe makes isvc.{'d' * 60}-v2-predictor of it"))


def test_tags_that_make_a_name_too_long_later_are_refused_then(in_knative: Installed) -> None:
    cluster, namespace = in_knative.cluster, in_knative.cluster.namespace()
    name = "d" * longest_service(namespace, Mode.KNATIVE)

    def edited(tagged: str, **fields: Any) -> Manifest:
        return inference_service(model_spec(**fields), name=name, annotations={TAGS: tagged})

    cluster.apply(edited("false"), namespace)
    check_in(namespace, cluster, Bad(edited("true"), f"KServe makes latest-{name}-predictor of it"))
    cluster.apply(edited("false", minReplicas=2), namespace)


@pytest.mark.parametrize("tagged", [False, True])
def test_the_longest_name_that_the_policy_takes_is_the_longest_that_knative_takes(
    in_knative: Installed, *, tagged: bool
) -> None:
    cluster, namespace = in_knative.cluster, in_knative.cluster.namespace()
    longest = longest_service(namespace, Mode.KNATIVE, tagged=tagged)
    annotations = {TAGS: str(tagged).lower()}
    longer, good = (
        inference_service(model_spec(), name="d" * length, annotations=annotations) for length in (longest + 1, longest)
    )
    check(cluster, Bad(longer, "-predictor of it, which has 64 characters"))
    cluster.apply(good, namespace)
    service = cluster.wait_for(KNATIVE_SERVICE, f"{'d' * longest}-predictor", namespace)
    assert service["spec"]["traffic"][0].get("tag") == ("latest" if tagged else None)
    refused = knative_refusals(
        [service | {"metadata": {"name": f"{'d' * length}-predictor"}} for length in (longest, 53, 54)]
    )
    assert refused == {
        f"{'d' * longest}-predictor": [],
        f"{'d' * 53}-predictor": [],
        f"{'d' * 54}-predictor": ["not a DNS 1035 label: [must be no more than 63 characters]: metadata.name"],
    }


def test_the_api_server_refuses_the_service_that_knative_makes_of_a_tag_where_the_policy_does(knative: Cluster) -> None:
    """Knative calls it as the host of the tag; its webhook takes a longer name before, as the test above shows."""
    longest = longest_service("default", Mode.KNATIVE, tagged=True)
    for length, by in ((longest, None), (longest + 1, Refuser.SCHEMA)):
        (name,) = labels_of("d" * length, "default", Mode.KNATIVE, tagged=True)
        spec = {"type": "ExternalName", "externalName": "example.com"}
        refused = knative.refusal({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec})
        assert (refused and refused.by) == by, refused


def _without_policy(installed: Installed) -> None:
    installed.upgrade({"policy": {"enabled": False}})
    installed.cluster.until(lambda: not installed.refuses(), "the policy still holds")


def _with_policy(installed: Installed) -> None:
    installed.upgrade({})
    installed.cluster.until(installed.refuses, "the policy does not hold")


def _is_too_long(cluster: Cluster, name: str, namespace: str) -> bool:
    return "must be no more than 63" in str(cluster.events(name, namespace))
