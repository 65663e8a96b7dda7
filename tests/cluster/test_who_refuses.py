"""Which InferenceServices are refused, by whom and in which words; and which are taken, though they cannot work."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest

from rollout.kinds import condition
from tests.cluster.cluster import Cluster
from tests.cluster.examples import canary, container, inference_service, predictor, stored
from tests.cluster.kinds import INFERENCE_SERVICE
from tests.cluster.manifests import Manifest
from tests.cluster.refusal import Refuser

MODEL = {"modelFormat": {"name": "onnx"}, "storageUri": "s3://models/demo"}
SCHEMA, KSERVE = Refuser.SCHEMA, Refuser.KSERVE
STORED = stored("s3://models/demo")
NAMELESS = {key: value for key, value in container().items() if key != "name"}


@dataclass(frozen=True)
class Bad:
    """A manifest, who refuses it, and a part of what is said."""

    manifest: Manifest
    by: Refuser
    says: str


def _with(**fields: object) -> Manifest:
    return inference_service(predictor(**fields))


def _of(*containers: Manifest) -> Manifest:
    return inference_service(predictor(*containers))


IN_BOTH_MODES = {
    "a typo": Bad(_with(canaryTraficPercent=10), SCHEMA, ".spec.predictor.canaryTraficPercent: field not declared"),
    "a typo in a port": Bad(
        _of(container(ports=[{"containerPort": 8080, "protocl": "TCP"}])), SCHEMA, ".protocl: field not declared"
    ),
    "a percentage in quotes": Bad(
        _with(canaryTrafficPercent="10"), SCHEMA, "canaryTrafficPercent: expected numeric (int or float), got string"
    ),
    "half a percent": Bad(
        _with(canaryTrafficPercent=10.5), KSERVE, "cannot unmarshal number 10.5 into Go struct field"
    ),
    "an unknown version": Bad(
        inference_service(predictor()) | {"apiVersion": "serving.kserve.io/v1beta2"}, SCHEMA, "no matches for kind"
    ),
    "an unknown scale metric": Bad(_with(scaleMetric="latency"), SCHEMA, 'Unsupported value: "latency"'),
    "a quantity with a typo": Bad(
        _of(container(resources={"limits": {"cpu": "100mm"}})), KSERVE, "unable to parse quantity's suffix"
    ),
    # KServe's webhook that fills in defaults fails on these, and the user reads of its failure.
    "no predictor": Bad(inference_service(), KSERVE, "panic: runtime error: index out of range [0] with length 0"),
    "an empty predictor": Bad(inference_service({}), KSERVE, "panic: runtime error: index out of range"),
    "no containers": Bad(inference_service({"containers": []}), KSERVE, "panic: runtime error: index out of range"),
    "a capital in the name": Bad(inference_service(predictor(), name="Demo"), SCHEMA, "lowercase RFC 1123 subdomain"),
    "an underscore in the name": Bad(inference_service(predictor(), name="de_mo"), SCHEMA, "RFC 1123 subdomain"),
    "a name that starts with a digit": Bad(
        inference_service(predictor(), name="1demo"), KSERVE, "must start with alphabetical character"
    ),
    "a dot in the name": Bad(
        inference_service(predictor(), name="de.mo"),
        KSERVE,
        "must consist of lower case alphanumeric characters or '-'",
    ),
    "more replicas at least than at most": Bad(
        _with(minReplicas=5, maxReplicas=2), KSERVE, "'MinReplicas' cannot be greater than MaxReplicas"
    ),
    "replicas below nothing": Bad(_with(minReplicas=-1), KSERVE, "'MinReplicas' cannot be less than 0"),
    "concurrency below nothing": Bad(_with(containerConcurrency=-1), KSERVE, "parallelism cannot be less than 0"),
    # Nothing in these words tells of a container's name.
    "two containers of one name": Bad(_of(container(), container()), KSERVE, "exactly one of [Name, SKLearn, XGBoost"),
    "a container and a model": Bad(_with(model=MODEL), KSERVE, "exactly one of [Name, SKLearn, XGBoost"),
    "a model with a name": Bad(
        inference_service({"model": MODEL | {"name": "own"}}), KSERVE, "the 'name' field is not allowed"
    ),
    "an unknown autoscaler": Bad(
        inference_service(predictor(), annotations={"serving.kserve.io/autoscalerClass": "best"}),
        KSERVE,
        "[best] is not a supported autoscaler class type",
    ),
    "a PYTHONPATH": Bad(
        _of(container(env=[{"name": "PYTHONPATH", "value": "/x"}])), KSERVE, "is not allowed for security reasons"
    ),
    "a storage URI on the collocated transformer": Bad(
        _of(container(), STORED | {"name": "transformer-container"}),
        KSERVE,
        "storage uri should not be specified in transformer container",
    ),
    "a storage URI and storage URIs": Bad(
        inference_service(predictor(STORED, storageUris=[{"uri": "s3://models/other"}])),
        KSERVE,
        "Setting both StorageURI and StorageURIs is not supported",
    ),
    "a canary of more than all": Bad(
        inference_service(predictor(STORED), canary=[canary(150)]), SCHEMA, "should be less than or equal to 100"
    ),
}

IN_STANDARD_MODE = {
    "a canary of a predictor without a model": Bad(
        inference_service(predictor(), canary=[canary(10)]), KSERVE, "canary requires a stable predictor with a model"
    ),
    "canaries that want more than all": Bad(
        inference_service(predictor(STORED), canary=[canary(60), canary(60, name="v3")]),
        KSERVE,
        "sum of canary trafficPercent values (120) must be <= 100",
    ),
    "a canary without a name": Bad(
        inference_service(predictor(STORED), canary=[{"trafficPercent": 10, "predictor": predictor()}]),
        KSERVE,
        "canary[0] predictor.name is required",
    ),
    "a canary that scales": Bad(
        inference_service(predictor(STORED), canary=[canary(10, maxReplicas=3)]),
        KSERVE,
        'canary "v2" must not set maxReplicas (canary uses fixed replicas)',
    ),
    "a canary with more replicas than the stable predictor": Bad(
        inference_service(predictor(STORED), canary=[canary(10, minReplicas=3)]),
        KSERVE,
        'canary "v2" minReplicas (3) must not exceed stable predictor minReplicas (1)',
    ),
}

IN_KNATIVE_MODE = {
    "a canary of Standard mode": Bad(
        inference_service(predictor(STORED), canary=[canary(10)]),
        KSERVE,
        "canary is only supported in Standard deployment mode",
    ),
    "a deployment strategy": Bad(
        _with(deploymentStrategy={"type": "Recreate"}),
        KSERVE,
        "customizing deploymentStrategy is only supported for raw deployment mode",
    ),
}

REFUSED_BY_NOBODY = {
    "more than all of the traffic": _with(canaryTrafficPercent=150),
    "less than nothing of the traffic": _with(canaryTrafficPercent=-5),
    "a container without a name": _of(NAMELESS),
    "a container without an image": _of(container(image=None)),
    "a port that does not exist": _of(container(ports=[{"containerPort": 80800, "protocol": "TCP"}])),
    "more requested than allowed": _of(container(resources={"limits": {"cpu": "1"}, "requests": {"cpu": "2"}})),
    "a name that is too long": inference_service(predictor(), name="d" * 64),
    "an unknown mode": inference_service(predictor(), annotations={"serving.kserve.io/deploymentMode": "Nope"}),
    "a storage scheme that is not known": _of(stored("bogus://models/demo")),
    "a model of a format without a runtime": inference_service({"model": MODEL | {"modelFormat": {"name": "nope"}}}),
    "a runtime that does not exist": inference_service({"model": MODEL | {"runtime": "nope"}}),
    "kserve-container second": _of(container("sidecar"), container()),
    "no kserve-container among several": _of(container("one"), container("two")),
    "a timeout below nothing": _with(timeout=-1),
}

FAILS_LATER = {
    "kserve-container second": "spec.template.spec.containers[1].name: Duplicate value",
    "a container without an image": "spec.template.spec.containers[0].image: Required value",
    "a port that does not exist": "spec.ports[0].targetPort: Invalid value: 80800",
    "more requested than allowed": "must be less than or equal to cpu limit of 1",
    "an unknown mode": "unsupported deployment mode for workload: Nope",
}
"""What becomes of some that nobody refuses, in Standard mode: the reason in the condition `PredictorReady`."""

FAILS_IN_EVENTS = {
    "a storage scheme that is not known": "StorageURI not supported: storageUri, must be one of: [gs://, s3://, pvc://",
    "a model of a format without a runtime": "no runtime found to support predictor with model type: {nope",
}
"""These are told of in an event only: the conditions stay `Unknown`, without a reason."""


def test_the_smallest_one_is_taken(cluster: Cluster) -> None:
    assert cluster.refusal(inference_service(predictor()), cluster.namespace()) is None


@pytest.mark.parametrize("what", IN_BOTH_MODES)
def test_refused_in_both_modes(cluster: Cluster, what: str) -> None:
    _check(cluster, IN_BOTH_MODES[what])


@pytest.mark.parametrize("what", IN_STANDARD_MODE)
def test_refused_in_standard_mode(standard: Cluster, what: str) -> None:
    _check(standard, IN_STANDARD_MODE[what])


@pytest.mark.parametrize("what", IN_KNATIVE_MODE)
def test_refused_in_knative_mode(knative: Cluster, what: str) -> None:
    _check(knative, IN_KNATIVE_MODE[what])


@pytest.mark.parametrize("what", REFUSED_BY_NOBODY)
def test_refused_by_nobody(cluster: Cluster, what: str) -> None:
    assert cluster.refusal(REFUSED_BY_NOBODY[what], cluster.namespace()) is None


@pytest.mark.parametrize("what", FAILS_LATER)
def test_what_nobody_refused_shows_in_the_condition(standard: Cluster, what: str) -> None:
    namespace = standard.namespace()
    standard.apply(REFUSED_BY_NOBODY[what], namespace)
    service = standard.wait_for(
        INFERENCE_SERVICE, "demo", namespace, lambda each: condition(each, "PredictorReady").get("status") == "False"
    )
    messages = [each.get("message", "") for each in service["status"]["conditions"] if each["type"] == "PredictorReady"]
    assert FAILS_LATER[what] in messages[0]


@pytest.mark.parametrize("what", FAILS_IN_EVENTS)
def test_what_nobody_refused_shows_in_an_event_only(cluster: Cluster, what: str) -> None:
    namespace = cluster.namespace()
    cluster.apply(REFUSED_BY_NOBODY[what], namespace)
    cluster.until(lambda: FAILS_IN_EVENTS[what] in "\n".join(cluster.events("demo", namespace)), "there is no event")
    service = cluster.wait_for(INFERENCE_SERVICE, "demo", namespace, lambda each: condition(each, "Ready"))
    assert condition(service, "Ready")["status"] == "Unknown"
    assert not any(each.get("message") for each in service["status"]["conditions"])


def test_several_containers_and_no_kserve_container_leave_no_trace_but_in_the_controllers_log(cluster: Cluster) -> None:
    namespace = cluster.namespace()
    cluster.apply(REFUSED_BY_NOBODY["no kserve-container among several"], namespace)
    log = cluster.plane.daemons[-1].log
    panic = re.compile(rf"Observed a panic.*{namespace}")
    cluster.until(lambda: panic.search(log.read_text()) is not None, "the controller logged no panic")
    service = cluster.wait_for(INFERENCE_SERVICE, "demo", namespace)
    assert not service.get("status", {}).get("conditions")
    assert not cluster.events("demo", namespace)


def _check(cluster: Cluster, bad: Bad) -> None:
    refused = cluster.refusal(bad.manifest, cluster.namespace())
    assert refused is not None, "nobody refuses it"
    assert (refused.by, bad.says in refused.message) == (bad.by, True), refused.message
