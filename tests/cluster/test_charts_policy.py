"""What the platform's admission policy refuses, in the words that a user reads, and what it lets through."""

from __future__ import annotations

import pytest

from tests.cluster.charts_platform import Installed
from tests.cluster.charts_policy import (
    ALONE,
    AUTOSCALING,
    KEDA,
    KNATIVE,
    MODEL,
    OURS,
    SEPARATE,
    STANDARD,
    Bad,
    canary_of,
    check,
    model_spec,
)
from tests.cluster.examples import container, inference_service, predictor
from tests.cluster.kinds import DEPLOYMENT, INFERENCE_SERVICE
from tests.cluster.manifests import Manifest
from tests.cluster.refusal import Refuser

IN_BOTH_MODES = {
    "more than all of the traffic": Bad(
        inference_service(model_spec(canaryTrafficPercent=150), annotations=KNATIVE),
        "spec.predictor.canaryTrafficPercent is 150: a share of the traffic is 0 to 100.",
    ),
    "less than nothing of the traffic": Bad(
        inference_service(model_spec(canaryTrafficPercent=-5), annotations=KNATIVE),
        "spec.predictor.canaryTrafficPercent is -5: a share of the traffic is 0 to 100.",
    ),
    "more than all of a transformer's traffic": Bad(
        inference_service(model_spec(ALONE), annotations=KNATIVE, transformer=SEPARATE | {"canaryTrafficPercent": 101}),
        "spec.transformer.canaryTrafficPercent is 101: a share of the traffic is 0 to 100.",
    ),
    "a percentage in Standard mode": Bad(
        inference_service(model_spec(canaryTrafficPercent=10), annotations=STANDARD),
        "spec.predictor.canaryTrafficPercent is ignored in Standard mode: all pods would be replaced at once. "
        "Use spec.canary, or Knative mode.",
    ),
    "a percentage under Standard mode's old name": Bad(
        inference_service(
            model_spec(canaryTrafficPercent=10), annotations={"serving.kserve.io/deploymentMode": "RawDeployment"}
        ),
        "canaryTrafficPercent is ignored in Standard mode",
    ),
    "a percentage of a container of ours": Bad(
        inference_service(predictor(container(image=OURS), canaryTrafficPercent=10), annotations=STANDARD),
        "canaryTrafficPercent is ignored in Standard mode",
    ),
    "a canary behind a separate transformer": Bad(
        canary_of(transformer=SEPARATE),
        "spec.canary together with spec.transformer: a canary is of the predictor alone, and the transformer would ask "
        "the stable one for every picture.",
    ),
    **{
        f"a canary with {field}": Bad(
            canary_of(**{field: value}),
            "The canary v2 has autoscaling fields: a canary has as many replicas as its minRep",
        )
        for field, value in AUTOSCALING.items()
    },
    "a canary with KEDA": Bad(
        canary_of(STANDARD | KEDA), "KServe would give the canary an autoscaler without a trigger"
    ),
    "more replicas at least than at most": Bad(
        inference_service(model_spec(minReplicas=5, maxReplicas=2)),
        "spec.predictor.minReplicas is 5, which is more than its maxReplicas, 2: lower the one or raise the other.",
    ),
    "more transformers at least than at most": Bad(
        inference_service(model_spec(ALONE), transformer=SEPARATE | {"minReplicas": 5, "maxReplicas": 2}),
        "spec.transformer.minReplicas is 5, which is more than its maxReplicas, 2",
    ),
    "a second predictor by its name": Bad(
        inference_service(model_spec(containers=[container()])),
        "spec.predictor.containers holds a second predictor beside spec.predictor.model",
    ),
    "a second predictor by its image": Bad(
        inference_service(model_spec(containers=[container("other", image=OURS)])),
        "Tune that one with spec.predictor.model.env, args and resources",
    ),
    "kserve-container in second place": Bad(
        inference_service(predictor(container("sidecar"), container(image=OURS))),
        "The first of spec.predictor.containers is sidecar: KServe takes the first one for the predictor",
    ),
    "two transformers": Bad(
        inference_service(model_spec(), transformer=SEPARATE),
        "spec.transformer together with the runtime kserve-vision, whose pods have a transformer of their own. Leave "
        "out spec.transformer, or use the runtime kserve-vision-predictor.",
    ),
    "two transformers on a GPU": Bad(
        inference_service(model_spec(MODEL | {"runtime": "kserve-vision-gpu"}), transformer=SEPARATE),
        "use the runtime kserve-vision-predictor-gpu.",
    ),
    "a name that begins with a digit": Bad(
        inference_service(model_spec(), name="1st"),
        "The name 1st is none for an InferenceService: it begins with a letter",
    ),
    "a name with a dot": Bad(
        inference_service(model_spec(), name="de.mo"), "The name de.mo is none for an InferenceService"
    ),
}

GOOD = {
    "a model": inference_service(model_spec()),
    "a model that scales": inference_service(model_spec(minReplicas=0, maxReplicas=3)),
    "replicas without a bound": inference_service(model_spec(minReplicas=3)),
    "a tuned transformer": inference_service(
        model_spec(containers=[{"name": "transformer-container", "image": "x", "env": [{"name": "A", "value": "b"}]}])
    ),
    "a separate transformer": inference_service(model_spec(ALONE), transformer=SEPARATE),
    "a separate transformer that takes many requests": inference_service(
        model_spec(ALONE), transformer=SEPARATE | {"containerConcurrency": 50}
    ),
    "a percentage in Knative mode": inference_service(model_spec(canaryTrafficPercent=0), annotations=KNATIVE),
    "a canary in Standard mode": canary_of(),
    "a canary with replicas": canary_of(minReplicas=1),
    # What is not ours.
    "another's canary percentage in Standard mode": inference_service(
        predictor(canaryTrafficPercent=10), annotations=STANDARD
    ),
    "another's runtime": inference_service(
        model_spec(MODEL | {"runtime": "triton"}, canaryTrafficPercent=150), annotations=STANDARD
    ),
    "another's model without a runtime": inference_service(
        {"model": {"modelFormat": {"name": "onnx"}, "storageUri": "s3://models/1"}, "canaryTrafficPercent": 150}
    ),
}


@pytest.mark.parametrize("what", IN_BOTH_MODES)
def test_refused_in_both_modes(installed: Installed, what: str) -> None:
    check(installed.cluster, IN_BOTH_MODES[what])


def test_a_percentage_is_refused_where_standard_is_the_clusters_default(in_standard: Installed) -> None:
    bad = inference_service(model_spec(canaryTrafficPercent=10))
    check(in_standard.cluster, Bad(bad, "canaryTrafficPercent is ignored in Standard mode"))


def test_a_percentage_passes_where_knative_is_the_clusters_default(in_knative: Installed) -> None:
    good = inference_service(model_spec(canaryTrafficPercent=10))
    assert in_knative.cluster.refusal(good, in_knative.cluster.namespace()) is None


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
        cluster.apply(inference_service(model_spec(canaryTrafficPercent=10), name=name), namespace)
    in_standard.upgrade({})
    cluster.until(in_standard.refuses, "the policy does not hold")
    cluster.patch(INFERENCE_SERVICE, "mended", namespace, {"spec": {"predictor": {"canaryTrafficPercent": None}}})
    cluster.delete(INFERENCE_SERVICE, "deleted", namespace)


def test_it_can_warn_instead(in_standard: Installed) -> None:
    cluster, namespace = in_standard.cluster, in_standard.cluster.namespace()
    in_standard.upgrade({"policy": {"actions": ["Warn"]}})
    cluster.until(lambda: not in_standard.refuses(), "the policy still refuses")
    cluster.apply(inference_service(model_spec(canaryTrafficPercent=10)), namespace)
    in_standard.upgrade({})
    cluster.until(in_standard.refuses, "the policy does not hold")


def test_a_model_that_names_no_runtime_is_ours_where_ours_is_chosen(in_standard: Installed) -> None:
    cluster, namespace = in_standard.cluster, in_standard.cluster.namespace()
    nameless = {"modelFormat": {"name": "onnx"}, "storageUri": "s3://models/1"}
    in_standard.upgrade({"autoSelect": {"enabled": True}})
    bad = inference_service(model_spec(nameless, canaryTrafficPercent=10))
    cluster.until(lambda: cluster.refusal(bad, namespace) is not None, "the policy does not hold")
    cluster.apply(inference_service(model_spec(nameless)), namespace)
    template = cluster.wait_for(DEPLOYMENT, "demo-predictor", namespace)["spec"]["template"]["spec"]
    assert [each["name"] for each in template["containers"]] == ["kserve-container", "transformer-container"]
    in_standard.upgrade({})


def test_a_transformer_beside_a_runtime_that_is_chosen_by_itself_is_refused(in_standard: Installed) -> None:
    cluster, namespace = in_standard.cluster, in_standard.cluster.namespace()
    nameless = model_spec({"modelFormat": {"name": "onnx"}, "storageUri": "s3://models/1"})
    in_standard.upgrade({"autoSelect": {"enabled": True}})
    cluster.until(
        lambda: cluster.refusal(inference_service(nameless | {"canaryTrafficPercent": 10}), namespace) is not None,
        "the policy does not hold",
    )
    says = "spec.transformer together with the runtime kserve-vision, whose pods have a transformer of their own"
    check(cluster, Bad(inference_service(nameless, transformer=SEPARATE), says))
    in_standard.upgrade({})


def test_images_are_known_by_the_names_in_the_values(in_standard: Installed) -> None:
    cluster, namespace = in_standard.cluster, in_standard.cluster.namespace()
    images = {"predictor": "vision/it's.one", "transformer": "vision/asks"}

    def with_image(image: str) -> Manifest:
        return inference_service(predictor(container(image=image), canaryTrafficPercent=10), annotations=STANDARD)

    in_standard.upgrade({"images": images})
    cluster.until(lambda: cluster.refusal(with_image("vision/it's.one:1"), namespace) is not None, "it does not hold")
    for image in ("vision/asks", "example.com/vision/asks@sha256:1"):
        check(cluster, Bad(with_image(image), "canaryTrafficPercent is ignored in Standard mode"))
    for image in ("example.com/vision/it'stone:1", "other-vision/asks:1", "vision/asks-more:1", OURS):
        refused = cluster.refusal(with_image(image), namespace)
        assert refused is None or refused.by is not Refuser.POLICY, refused.message
    second = inference_service(model_spec(containers=[container("other", image="example.com/vision/it's.one:1")]))
    check(cluster, Bad(second, "holds a second predictor beside spec.predictor.model"))
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
