"""Which step comes next in Knative mode, for what a cluster shows; the whole way is in tests/cluster."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from typing_extensions import override

from rollout import Candidate, NoSuchKind, NotPossible, NotReady, Phase, WrongPhase, traffic_of
from rollout.contracts import ContractFacts
from rollout.kinds import CONFIG_MAP, INFERENCE_SERVICE, KNATIVE_SERVICE, Kind, Manifest
from rollout.knative_service import SOURCE
from rollout.traffic import Traffic
from tests.unit.rollout.cluster import Memory

FIRST, SECOND = "s3://m/1", "s3://m/2"
START = Candidate(SECOND, 10)


def _service(uri: str = FIRST, rolled_out: str = "demo-predictor-00001", **fields: Any) -> Manifest:
    predictor = {"model": {"modelFormat": {"name": "onnx"}, "storageUri": uri}, **fields}
    return {
        "metadata": {"name": "demo"},
        "spec": {"predictor": predictor},
        "status": {
            "deploymentMode": "Knative",
            "conditions": [{"type": "Ready", "status": "True"}],
            "components": {"predictor": {"latestRolledoutRevision": rolled_out}},
        },
    }


def _knative(uri: str, revision: int, *traffic: tuple[int, int], ready: int = 0, asked: int | None = None) -> Manifest:
    """A Knative Service at its newest revision; `traffic` are revisions and percentages."""
    names = {number: f"demo-predictor-{number:05}" for number in range(1, 9)}
    targets = [{"latestRevision": True, "percent": 100 if asked is None else asked}]
    return {
        "metadata": {"name": "demo-predictor", "generation": 5},
        "spec": {"template": {"metadata": {"annotations": {SOURCE: uri}}, "spec": {}}, "traffic": targets},
        "status": {
            "observedGeneration": 5,
            "latestCreatedRevisionName": names[revision],
            "latestReadyRevisionName": names[ready or revision],
            "traffic": [{"revisionName": names[number], "percent": percent} for number, percent in traffic],
        },
    }


def _cluster(service: Manifest, knative: Manifest) -> tuple[Memory, Traffic]:
    objects = Memory((INFERENCE_SERVICE, service), (KNATIVE_SERVICE, knative))
    return objects, traffic_of(objects, "default", "demo")


def _running(percent: int = 10) -> tuple[Memory, Traffic]:
    """A canary that was started, and that KServe and Knative have not looked at yet."""
    objects, traffic = _cluster(_service(), _knative(FIRST, 1, (1, 100)))
    for _ in range(2):
        traffic.take(traffic.start(Candidate(SECOND, percent)))
    return objects, traffic


def _spec(objects: Memory) -> Manifest:
    found = objects.get(INFERENCE_SERVICE, "default", "demo")
    assert found is not None
    spec: Manifest = found["spec"]
    return spec


def test_a_start_keeps_the_record_first_and_says_what_follows() -> None:
    objects, traffic = _cluster(_service(), _knative(FIRST, 1, (1, 100)))
    step = traffic.start(START)
    assert "ConfigMap demo-canary" in step.says
    assert "canaryTrafficPercent to 10" in step.then[0]
    assert _spec(objects) == _service()["spec"]
    traffic.take(step)
    assert traffic.read().phase is Phase.RECORDED


@pytest.mark.parametrize(("component", "longest"), [("predictor", 46), ("transformer", 44)])
def test_a_start_refuses_a_name_of_which_the_tags_would_be_too_long(component: str, longest: int) -> None:
    """Of each Knative Service that there is: the annotation is of the whole InferenceService."""
    known = ContractFacts("digest", "1", 2, {})
    start = replace(START, contracts=(known, known))
    assert _called("d" * longest, component).start(start).write is not None
    longer = "d" * (longest + 1)
    with pytest.raises(NotPossible, match=f"Knative makes latest-{longer}-{component} of it, which has 64 letters"):
        _called(longer, component).start(start)


def _called(name: str, component: str) -> Traffic:
    """Of an InferenceService of that name, with that component at least."""
    service = _service()
    service["spec"].setdefault(component, {"containers": [{"name": "kserve-container"}]})
    renamed = json.dumps([service, _knative(FIRST, 1, (1, 100))]).replace("demo", name)
    objects = Memory(*zip((INFERENCE_SERVICE, KNATIVE_SERVICE), json.loads(renamed), strict=True))
    return traffic_of(objects, "default", name)


def test_what_is_wished_is_not_taken_for_what_is_observed() -> None:
    _, traffic = _running(40)
    observed = traffic.read()
    assert (observed.wished, observed.stable.percent) == (40, 100)
    assert observed.candidate is not None
    assert (observed.candidate.percent, observed.candidate.ready) == (0, False)


def test_a_share_is_awaited_until_knative_gives_it() -> None:
    objects, traffic = _running()
    objects.put(KNATIVE_SERVICE, _knative(SECOND, 2, (2, 5), (1, 95), asked=10))
    assert traffic.start(START).waits is not None
    objects.put(KNATIVE_SERVICE, _knative(SECOND, 2, (2, 10), (1, 90), asked=10))
    assert traffic.start(START).is_last


def test_a_status_of_an_earlier_spec_does_not_count() -> None:
    objects, traffic = _running()
    stale = _knative(SECOND, 2, (2, 10), (1, 90), asked=10)
    stale["status"]["observedGeneration"] = 4
    objects.put(KNATIVE_SERVICE, stale)
    with pytest.raises(NotReady, match="Knative has not looked at it yet"):
        traffic.promote()


def test_the_percentage_of_an_abort_stays_until_the_restored_revision_is_the_newest_ready_one() -> None:
    objects, traffic = _running(0)
    traffic.take(traffic.abort())
    assert _spec(objects)["predictor"]["canaryTrafficPercent"] == 0
    assert _spec(objects)["predictor"]["model"]["storageUri"] == FIRST
    for seen in (
        _knative(SECOND, 2, (2, 0), (1, 100), asked=0),  # KServe has not passed it on: what is ready is the candidate
        _knative(FIRST, 3, (2, 0), (1, 100), ready=2, asked=0),  # the restored revision comes up
    ):
        objects.put(KNATIVE_SERVICE, seen)
        assert traffic.abort().waits is not None
    objects.put(KNATIVE_SERVICE, _knative(FIRST, 3, (3, 0), (1, 100), asked=0))
    traffic.take(traffic.abort())
    assert _spec(objects) == _service()["spec"]


def test_a_record_is_kept_until_the_restored_revision_has_all_traffic() -> None:
    objects, traffic = _running()
    traffic.take(traffic.abort())
    objects.put(KNATIVE_SERVICE, _knative(FIRST, 3, (3, 0), (1, 100), asked=0))
    traffic.take(traffic.abort())
    assert traffic.abort().waits is not None
    objects.put(INFERENCE_SERVICE, _service(rolled_out="demo-predictor-00003"))
    step = traffic.abort()
    assert step.ends
    traffic.take(step)
    assert objects.get(CONFIG_MAP, "default", "demo-canary") is None


def test_a_stale_record_does_not_bring_an_old_spec_back() -> None:
    """A start was killed after its record, and people went on working."""
    objects, traffic = _cluster(_service(), _knative(FIRST, 1, (1, 100)))
    traffic.take(traffic.start(START))
    objects.put(INFERENCE_SERVICE, _service(minReplicas=5))
    with pytest.raises(WrongPhase):
        traffic.start(START)
    step = traffic.abort()
    assert step.ends
    traffic.take(step)
    assert _spec(objects)["predictor"]["minReplicas"] == 5


def test_a_stable_version_that_is_not_rolled_out_has_no_canary() -> None:
    _, traffic = _cluster(_service(), _knative(FIRST, 2, (1, 100), ready=1))
    with pytest.raises(NotReady):
        traffic.start(START)


@pytest.mark.parametrize("mode", ["ModelMesh"])
def test_a_mode_without_canaries_is_a_sentence(mode: str) -> None:
    service = _service()
    service["status"]["deploymentMode"] = mode
    with pytest.raises(NotPossible, match=mode):
        traffic_of(Memory((INFERENCE_SERVICE, service)), "default", "demo")


def test_a_service_that_kserve_has_not_looked_at_is_a_sentence() -> None:
    service = _service()
    del service["status"]
    with pytest.raises(NotReady, match="KServe has not looked at demo yet"):
        traffic_of(Memory((INFERENCE_SERVICE, service)), "default", "demo")


def test_where_knative_is_not_installed_a_service_without_a_mode_is_none_of_its_own() -> None:
    class Without(Memory):
        @override
        def get(self, kind: Kind, namespace: str, name: str) -> Manifest | None:
            if kind == KNATIVE_SERVICE:
                raise NoSuchKind(kind.resource)
            return super().get(kind, namespace, name)

    service = _service()
    del service["status"]
    with pytest.raises(NotReady, match="KServe has not looked at demo yet"):
        traffic_of(Without((INFERENCE_SERVICE, service)), "default", "demo")


def test_an_earlier_kserve_that_names_no_mode_is_known_by_its_knative_service() -> None:
    service = _service()
    del service["status"]["deploymentMode"]
    _, traffic = _cluster(service, _knative(FIRST, 1, (1, 100)))
    assert traffic.read().mode == "Knative"


def test_a_transformer_before_both_versions_wants_contracts_that_are_known_to_agree() -> None:
    service = _service()
    service["spec"]["transformer"] = {"containers": [{"name": "kserve-container"}]}
    objects, traffic = _cluster(service, _knative(FIRST, 1, (1, 100)))
    with pytest.raises(NotPossible, match="--stable-dir and --candidate-dir"):
        traffic.start(START)
    assert objects.get(CONFIG_MAP, "default", "demo-canary") is None
    known = ContractFacts("digest", "1", 2, {})
    other = ContractFacts("another", "2", 3, {})
    with pytest.raises(NotPossible, match="labels: 2 -> 3"):
        traffic.start(replace(START, contracts=(known, other)))
    assert traffic.start(replace(START, contracts=(known, known))).write is not None


def test_a_promotion_says_that_the_annotation_of_the_start_stays() -> None:
    objects, traffic = _running()
    objects.put(KNATIVE_SERVICE, _knative(SECOND, 2, (2, 10), (1, 90), asked=10))
    traffic.take(traffic.promote())
    assert traffic.promote().then
    service = objects.get(INFERENCE_SERVICE, "default", "demo")
    assert service is not None
    service["status"]["components"]["predictor"]["latestRolledoutRevision"] = "demo-predictor-00002"
    objects.put(INFERENCE_SERVICE, service)
    objects.put(KNATIVE_SERVICE, _knative(SECOND, 2, (2, 100)))
    step = traffic.promote()
    assert (step.ends, "enable-tag-routing stays" in step.says) == (True, True)
