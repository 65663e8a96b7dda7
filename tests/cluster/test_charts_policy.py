"""What the platform's admission policy refuses, in the words that a user reads, and what it lets through."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import pytest

from tests.cluster.charts_platform import Installed
from tests.cluster.cluster import Cluster
from tests.cluster.examples import container, inference_service, predictor
from tests.cluster.kinds import DEPLOYMENT, INFERENCE_SERVICE, KNATIVE_SERVICE, NAMESPACE
from tests.cluster.knative_check import knative_refusals
from tests.cluster.manifests import Manifest
from tests.cluster.refusal import Refuser

STANDARD: Final = {"serving.kserve.io/deploymentMode": "Standard"}
KNATIVE: Final = {"serving.kserve.io/deploymentMode": "Knative"}
KEDA: Final = {"serving.kserve.io/autoscalerClass": "keda"}
OURS: Final = "example.com/vision/kserve-vision-predictor:1"
SEPARATE: Final = predictor(container(image="example.com/vision/kserve-vision-transformer:1"))
MODEL: Final = {"modelFormat": {"name": "onnx"}, "runtime": "kserve-vision", "storageUri": "s3://models/1"}
ALONE: Final = MODEL | {"runtime": "kserve-vision-predictor"}
AUTOSCALING: Final[dict[str, Any]] = {
    "maxReplicas": 3,
    "scaleTarget": 3,
    "scaleMetric": "cpu",
    "scaleMetricType": "Utilization",
    "autoScaling": {"metrics": []},
}
V2: Final = {"name": "v2", "model": MODEL | {"storageUri": "s3://models/2"}}


@dataclass(frozen=True)
class Bad:
    """A manifest, and what is said of it."""

    manifest: Manifest
    says: str


def _model(model: Manifest = MODEL, **fields: Any) -> Manifest:
    return {"model": model, **fields}


def _canary(annotations: dict[str, str] | None = None, transformer: Manifest | None = None, **fields: Any) -> Manifest:
    candidates = [{"trafficPercent": 10, "predictor": V2 | fields}]
    others: dict[str, Any] = {"transformer": transformer} if transformer else {}
    stable = _model(ALONE) if transformer else _model()
    return inference_service(stable, annotations=annotations or STANDARD, canary=candidates, **others)


IN_BOTH_MODES = {
    "more than all of the traffic": Bad(
        inference_service(_model(canaryTrafficPercent=150), annotations=KNATIVE),
        "spec.predictor.canaryTrafficPercent is 150: a share of the traffic is 0 to 100.",
    ),
    "less than nothing of the traffic": Bad(
        inference_service(_model(canaryTrafficPercent=-5), annotations=KNATIVE),
        "spec.predictor.canaryTrafficPercent is -5: a share of the traffic is 0 to 100.",
    ),
    "more than all of a transformer's traffic": Bad(
        inference_service(_model(ALONE), annotations=KNATIVE, transformer=SEPARATE | {"canaryTrafficPercent": 101}),
        "spec.transformer.canaryTrafficPercent is 101: a share of the traffic is 0 to 100.",
    ),
    "a percentage in Standard mode": Bad(
        inference_service(_model(canaryTrafficPercent=10), annotations=STANDARD),
        "spec.predictor.canaryTrafficPercent is ignored in Standard mode: all pods would be replaced at once. "
        "Use spec.canary, or Knative mode.",
    ),
    "a percentage under Standard mode's old name": Bad(
        inference_service(
            _model(canaryTrafficPercent=10), annotations={"serving.kserve.io/deploymentMode": "RawDeployment"}
        ),
        "canaryTrafficPercent is ignored in Standard mode",
    ),
    "a percentage of a container of ours": Bad(
        inference_service(predictor(container(image=OURS), canaryTrafficPercent=10), annotations=STANDARD),
        "canaryTrafficPercent is ignored in Standard mode",
    ),
    "a canary behind a separate transformer": Bad(
        _canary(transformer=SEPARATE),
        "spec.canary together with spec.transformer: a canary is of the predictor alone, and the transformer would ask "
        "the stable one for every picture.",
    ),
    **{
        f"a canary with {field}": Bad(
            _canary(**{field: value}),
            "The canary v2 has autoscaling fields: a canary has as many replicas as its minRep",
        )
        for field, value in AUTOSCALING.items()
    },
    "a canary with KEDA": Bad(_canary(STANDARD | KEDA), "KServe would give the canary an autoscaler without a trigger"),
    "more replicas at least than at most": Bad(
        inference_service(_model(minReplicas=5, maxReplicas=2)),
        "spec.predictor.minReplicas is 5, which is more than its maxReplicas, 2: lower the one or raise the other.",
    ),
    "more transformers at least than at most": Bad(
        inference_service(_model(ALONE), transformer=SEPARATE | {"minReplicas": 5, "maxReplicas": 2}),
        "spec.transformer.minReplicas is 5, which is more than its maxReplicas, 2",
    ),
    "a second predictor by its name": Bad(
        inference_service(_model(containers=[container()])),
        "spec.predictor.containers holds a second predictor beside spec.predictor.model",
    ),
    "a second predictor by its image": Bad(
        inference_service(_model(containers=[container("other", image=OURS)])),
        "Tune that one with spec.predictor.model.env, args and resources",
    ),
    "kserve-container in second place": Bad(
        inference_service(predictor(container("sidecar"), container(image=OURS))),
        "The first of spec.predictor.containers is sidecar: KServe takes the first one for the predictor",
    ),
    "two transformers": Bad(
        inference_service(_model(), transformer=SEPARATE),
        "spec.transformer together with the runtime kserve-vision, whose pods have a transformer of their own. Leave "
        "out spec.transformer, or use the runtime kserve-vision-predictor.",
    ),
    "two transformers on a GPU": Bad(
        inference_service(_model(MODEL | {"runtime": "kserve-vision-gpu"}), transformer=SEPARATE),
        "use the runtime kserve-vision-predictor-gpu.",
    ),
    "a name that begins with a digit": Bad(
        inference_service(_model(), name="1st"), "The name 1st is none for an InferenceService: it begins with a letter"
    ),
    "a name with a dot": Bad(
        inference_service(_model(), name="de.mo"), "The name de.mo is none for an InferenceService"
    ),
}

GOOD = {
    "a model": inference_service(_model()),
    "a model that scales": inference_service(_model(minReplicas=0, maxReplicas=3)),
    "replicas without a bound": inference_service(_model(minReplicas=3)),
    "a tuned transformer": inference_service(
        _model(containers=[{"name": "transformer-container", "image": "x", "env": [{"name": "A", "value": "b"}]}])
    ),
    "a separate transformer": inference_service(_model(ALONE), transformer=SEPARATE),
    "a separate transformer that takes many requests": inference_service(
        _model(ALONE), transformer=SEPARATE | {"containerConcurrency": 50}
    ),
    "a percentage in Knative mode": inference_service(_model(canaryTrafficPercent=0), annotations=KNATIVE),
    "a canary in Standard mode": _canary(),
    "a canary with replicas": _canary(minReplicas=1),
    # What is not ours.
    "another's canary percentage in Standard mode": inference_service(
        predictor(canaryTrafficPercent=10), annotations=STANDARD
    ),
    "another's runtime": inference_service(
        _model(MODEL | {"runtime": "triton"}, canaryTrafficPercent=150), annotations=STANDARD
    ),
    "another's model without a runtime": inference_service(
        {"model": {"modelFormat": {"name": "onnx"}, "storageUri": "s3://models/1"}, "canaryTrafficPercent": 150}
    ),
}


@pytest.mark.parametrize("what", IN_BOTH_MODES)
def test_refused_in_both_modes(installed: Installed, what: str) -> None:
    _check(installed.cluster, IN_BOTH_MODES[what])


def test_a_percentage_is_refused_where_standard_is_the_clusters_default(in_standard: Installed) -> None:
    bad = inference_service(_model(canaryTrafficPercent=10))
    _check(in_standard.cluster, Bad(bad, "canaryTrafficPercent is ignored in Standard mode"))


def test_a_percentage_passes_where_knative_is_the_clusters_default(in_knative: Installed) -> None:
    good = inference_service(_model(canaryTrafficPercent=10))
    assert in_knative.cluster.refusal(good, in_knative.cluster.namespace()) is None


@dataclass(frozen=True)
class Named:
    """An InferenceService whose names grow with a number, and what KServe makes of the one that is told last."""

    grows: Callable[[int], Manifest]
    workload: str
    around: str
    """What stands about the workload's name in the longest name that is made of it; `{}` is the namespace."""


NAMED = {
    "of a predictor, for the label": Named(
        lambda length: inference_service(_model(), name="d" * length), "{}-predictor", "isvc."
    ),
    "of a predictor, for a host": Named(
        lambda length: inference_service(_model(), name="d" * length), "{}-predictor", "-{}"
    ),
    "of a transformer": Named(
        lambda length: inference_service(_model(ALONE), transformer=SEPARATE, name="d" * length),
        "{}-transformer",
        "isvc.",
    ),
    "of a predictor that has one of its own": Named(
        lambda length: inference_service(_model(name="p" * length)), "demo-{}-predictor", "isvc."
    ),
    "of a canary": Named(lambda length: _canary(name="c" * length), "demo-{}-predictor", "isvc."),
    "of a canary, for a host": Named(lambda length: _canary(name="c" * length), "demo-{}-predictor", "-{}"),
}


@pytest.fixture(scope="module")
def short(in_standard: Installed) -> str:
    """A namespace with a name so short that the label is longer than a host's first part."""
    in_standard.cluster.create(NAMESPACE, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}})
    return "n"


@pytest.mark.parametrize("what", NAMED)
def test_the_longest_name_that_the_policy_takes_is_the_longest_that_kserve_takes(
    in_standard: Installed, short: str, what: str
) -> None:
    cluster, named = in_standard.cluster, NAMED[what]
    namespace = cluster.namespace() if "{}" in named.around else short
    room = 63 - len(named.around.format(namespace)) - len(named.workload.format(""))
    longest, longer = named.grows(room), named.grows(room + 1)
    _check_in(
        namespace, cluster, Bad(longer, "has 64 characters, and a label or a part of a host name has 63 at most.")
    )
    cluster.apply(longest, namespace)
    letter = "p" if "of its own" in what else "c" if "canary" in what else "d"
    cluster.wait_for(DEPLOYMENT, named.workload.format(letter * room), namespace)
    cluster.delete(INFERENCE_SERVICE, longest["metadata"]["name"], namespace)


def test_without_the_policy_longer_names_fail_in_the_controller(in_standard: Installed, short: str) -> None:
    cluster = in_standard.cluster
    in_standard.upgrade({"policy": {"enabled": False}})
    cluster.until(lambda: not in_standard.refuses(), "the policy still holds")
    for what, named in NAMED.items():
        namespace = cluster.namespace() if "{}" in named.around else short
        longer = named.grows(64 - len(named.around.format(namespace)) - len(named.workload.format("")))
        cluster.apply(longer, namespace)
        about = longer["metadata"]["name"], namespace
        cluster.until(partial(_is_too_long, cluster, *about), f"KServe takes a longer name {what}")
        cluster.delete(INFERENCE_SERVICE, *about)
    in_standard.upgrade({})
    cluster.until(in_standard.refuses, "the policy does not hold")


def test_a_canary_with_a_name_that_is_too_long_is_refused_later_too(in_standard: Installed) -> None:
    cluster, namespace = in_standard.cluster, in_standard.cluster.namespace()
    cluster.apply(inference_service(_model(), annotations=STANDARD), namespace)
    bad = Bad(_canary(name="c" * 60), f"KServe makes isvc.demo-{'c' * 60}-predictor of it")
    _check_in(namespace, cluster, bad)


@pytest.mark.parametrize(("tagged", "longest"), [("false", 53), ("true", 46)])
def test_the_longest_name_that_the_policy_takes_is_the_longest_that_knative_takes(
    in_knative: Installed, tagged: str, longest: int
) -> None:
    cluster, namespace = in_knative.cluster, in_knative.cluster.namespace()
    annotations = {"serving.kserve.io/enable-tag-routing": tagged}
    longer, good = (
        inference_service(_model(), name="d" * length, annotations=annotations) for length in (longest + 1, longest)
    )
    _check(cluster, Bad(longer, "-predictor of it, which has 64 characters"))
    cluster.apply(good, namespace)
    service = cluster.wait_for(KNATIVE_SERVICE, f"{'d' * longest}-predictor", namespace)
    tag = service["spec"]["traffic"][0].get("tag")
    assert tag == ("latest" if tagged == "true" else None)
    refused = knative_refusals([service, service | {"metadata": {"name": f"{'d' * 54}-predictor"}}])
    assert refused == {
        f"{'d' * longest}-predictor": [],
        f"{'d' * 54}-predictor": ["not a DNS 1035 label: [must be no more than 63 characters]: metadata.name"],
    }


@pytest.mark.parametrize("what", GOOD)
def test_let_through(installed: Installed, what: str) -> None:
    namespace = installed.cluster.namespace()
    refused = installed.cluster.refusal(GOOD[what], namespace)
    assert refused is None or refused.by is not Refuser.POLICY, refused.message


def test_one_of_ours_that_was_taken_before_can_be_deleted_and_mended(in_standard: Installed) -> None:
    cluster, namespace = in_standard.cluster, in_standard.cluster.namespace()
    in_standard.upgrade({"policy": {"enabled": False}})
    cluster.until(lambda: not in_standard.refuses(), "the policy still holds")
    for name in ("mended", "deleted"):
        cluster.apply(inference_service(_model(canaryTrafficPercent=10), name=name), namespace)
    in_standard.upgrade({})
    cluster.until(in_standard.refuses, "the policy does not hold")
    cluster.patch(INFERENCE_SERVICE, "mended", namespace, {"spec": {"predictor": {"canaryTrafficPercent": None}}})
    cluster.delete(INFERENCE_SERVICE, "deleted", namespace)


def test_it_can_warn_instead(in_standard: Installed) -> None:
    cluster, namespace = in_standard.cluster, in_standard.cluster.namespace()
    in_standard.upgrade({"policy": {"actions": ["Warn"]}})
    cluster.until(lambda: not in_standard.refuses(), "the policy still refuses")
    cluster.apply(inference_service(_model(canaryTrafficPercent=10)), namespace)
    in_standard.upgrade({})
    cluster.until(in_standard.refuses, "the policy does not hold")


def test_a_model_that_names_no_runtime_is_ours_where_ours_is_chosen(in_standard: Installed) -> None:
    cluster, namespace = in_standard.cluster, in_standard.cluster.namespace()
    nameless = {"modelFormat": {"name": "onnx"}, "storageUri": "s3://models/1"}
    in_standard.upgrade({"autoSelect": {"enabled": True}})
    bad = inference_service(_model(nameless, canaryTrafficPercent=10))
    cluster.until(lambda: cluster.refusal(bad, namespace) is not None, "the policy does not hold")
    cluster.apply(inference_service(_model(nameless)), namespace)
    template = cluster.wait_for(DEPLOYMENT, "demo-predictor", namespace)["spec"]["template"]["spec"]
    assert [each["name"] for each in template["containers"]] == ["kserve-container", "transformer-container"]
    in_standard.upgrade({})


def test_a_transformer_beside_a_runtime_that_is_chosen_by_itself_is_refused(in_standard: Installed) -> None:
    cluster, namespace = in_standard.cluster, in_standard.cluster.namespace()
    nameless = _model({"modelFormat": {"name": "onnx"}, "storageUri": "s3://models/1"})
    in_standard.upgrade({"autoSelect": {"enabled": True}})
    cluster.until(
        lambda: cluster.refusal(inference_service(nameless | {"canaryTrafficPercent": 10}), namespace) is not None,
        "the policy does not hold",
    )
    says = "spec.transformer together with the runtime kserve-vision, whose pods have a transformer of their own"
    _check(cluster, Bad(inference_service(nameless, transformer=SEPARATE), says))
    in_standard.upgrade({})


def test_images_are_known_by_the_names_in_the_values(in_standard: Installed) -> None:
    cluster, namespace = in_standard.cluster, in_standard.cluster.namespace()
    images = {"predictor": "vision/it's.one", "transformer": "vision/asks"}

    def with_image(image: str) -> Manifest:
        return inference_service(predictor(container(image=image), canaryTrafficPercent=10), annotations=STANDARD)

    in_standard.upgrade({"images": images})
    cluster.until(lambda: cluster.refusal(with_image("vision/it's.one:1"), namespace) is not None, "it does not hold")
    for image in ("vision/asks", "example.com/vision/asks@sha256:1"):
        _check(cluster, Bad(with_image(image), "canaryTrafficPercent is ignored in Standard mode"))
    for image in ("example.com/vision/it'stone:1", "other-vision/asks:1", "vision/asks-more:1", OURS):
        refused = cluster.refusal(with_image(image), namespace)
        assert refused is None or refused.by is not Refuser.POLICY, refused.message
    second = inference_service(_model(containers=[container("other", image="example.com/vision/it's.one:1")]))
    _check(cluster, Bad(second, "holds a second predictor beside spec.predictor.model"))
    in_standard.upgrade({})


def test_without_the_policy_kserve_lets_most_of_them_in(in_standard: Installed) -> None:
    """Why it is there: what KServe's own webhook says of the same manifests."""
    cluster = in_standard.cluster
    in_standard.upgrade({"policy": {"enabled": False}})
    cluster.until(lambda: not in_standard.refuses(), "the policy still holds")
    taken = {
        what
        for what, bad in IN_BOTH_MODES.items()
        if "Knative" not in str(bad.manifest) and cluster.refusal(bad.manifest, cluster.namespace()) is None
    }
    in_standard.upgrade({})
    assert {
        "a percentage in Standard mode",
        "a canary behind a separate transformer",
        "a canary with KEDA",
        "kserve-container in second place",
        "two transformers",
    } <= taken


def _is_too_long(cluster: Cluster, name: str, namespace: str) -> bool:
    return "must be no more than 63" in str(cluster.events(name, namespace))


def _check(cluster: Cluster, bad: Bad) -> None:
    _check_in(cluster.namespace(), cluster, bad)


def _check_in(namespace: str, cluster: Cluster, bad: Bad) -> None:
    refused = cluster.refusal(bad.manifest, namespace)
    assert refused is not None, "nobody refuses it"
    assert (refused.by, bad.says in refused.message) == (Refuser.POLICY, True), refused.message
