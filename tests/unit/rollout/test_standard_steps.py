"""Which step comes next in Standard mode, for what a cluster shows; the whole way is in tests/cluster."""

from __future__ import annotations

from typing import Any

import pytest
from typing_extensions import override

from rollout import (
    Candidate,
    Conflict,
    Edited,
    NoSuchKind,
    NotPossible,
    Phase,
    TakenBack,
    Wait,
    WrongPhase,
    drive,
    traffic_of,
)
from rollout.kinds import CONFIG_MAP, DEPLOYMENT, HTTP_ROUTE, INFERENCE_SERVICE, SERVICE, Kind, Manifest
from rollout.step import Patch
from rollout.traffic import Traffic
from tests.unit.rollout.cluster import Memory

FIRST, SECOND = "s3://m/v1", "s3://m/v2"
PODS = 10
STABLE, CANDIDATE = "cat-predictor", "cat-v2-predictor"


def _service(name: str = "cat", uri: str = FIRST, **fields: Any) -> Manifest:
    predictor = {"minReplicas": PODS, "model": {"modelFormat": {"name": "onnx"}, "storageUri": uri}, **fields}
    conditions = [{"type": "Ready", "status": "True"}]
    return {
        "metadata": {"name": name},
        "spec": {"predictor": predictor},
        "status": {"deploymentMode": "Standard", "conditions": conditions},
    }


def _deployment(name: str, pods: int = PODS) -> Manifest:
    status = {"observedGeneration": 1, "availableReplicas": pods, "updatedReplicas": pods}
    return {"metadata": {"name": name}, "spec": {"replicas": pods}, "status": status}


def _route(seen: int | None = None, **weights: int) -> Manifest:
    """The route at generation 2, with weights of `stable` and `candidate`; its gateway has seen generation `seen`."""
    names = {"stable": STABLE, "candidate": CANDIDATE}
    backends = [{"name": names[key], "weight": weight} for key, weight in weights.items()]
    conditions = [
        {"type": each, "status": "True", "observedGeneration": 2 if seen is None else seen}
        for each in ("Accepted", "ResolvedRefs")
    ]
    return {
        "metadata": {"name": "cat", "generation": 2},
        "spec": {"rules": [{"backendRefs": backends}]},
        "status": {"parents": [{"conditions": conditions}]},
    }


def _cluster(*more: tuple[Kind, Manifest], kind: type[Memory] = Memory) -> tuple[Memory, Traffic]:
    objects = kind(
        (INFERENCE_SERVICE, _service()), (DEPLOYMENT, _deployment(STABLE)), (HTTP_ROUTE, _route(stable=100)), *more
    )
    return objects, traffic_of(objects, "default", "cat")


def _running(percent: int = 10, **fields: Any) -> tuple[Memory, Traffic]:
    """A canary that has its share."""
    objects, traffic = _cluster()
    objects.put(INFERENCE_SERVICE, _service(**fields))
    candidate = Candidate(SECOND, percent)
    for _ in range(2):
        traffic.take(traffic.start(candidate))
    objects.put(DEPLOYMENT, _deployment(CANDIDATE))
    objects.put(HTTP_ROUTE, _route(stable=100, candidate=0))
    traffic.take(traffic.start(candidate))
    objects.put(HTTP_ROUTE, _route(stable=100 - percent, candidate=percent))
    assert traffic.start(candidate).is_last
    return objects, traffic


def _promoted(**fields: Any) -> tuple[Memory, Traffic]:
    """A promotion whose record is left; the predictor was edited since."""
    objects, traffic = _running()
    service = _service(uri=SECOND)
    service["spec"]["predictor"] |= {"name": "v2", **fields}
    objects.put(INFERENCE_SERVICE, service)
    objects.delete(DEPLOYMENT, "default", STABLE, f"uid-of-{STABLE}")
    objects.put(HTTP_ROUTE, _route(candidate=100))
    return objects, traffic


def _get(objects: Memory, kind: Kind = INFERENCE_SERVICE, name: str = "cat") -> Manifest:
    found = objects.get(kind, "default", name)
    assert found is not None
    return found


def _edit(objects: Memory, **fields: Any) -> None:
    """Somebody writes into the predictor."""
    service = _get(objects)
    service["spec"]["predictor"] |= fields
    objects.put(INFERENCE_SERVICE, service)


def _bounds(objects: Memory) -> tuple[Any, ...]:
    spec = _get(objects)["spec"]
    entries = [each["predictor"]["minReplicas"] for each in spec.get("canary") or ()]
    return spec["predictor"].get("minReplicas"), spec["predictor"].get("maxReplicas"), *entries


@pytest.mark.parametrize(
    "other",
    [
        (DEPLOYMENT, _deployment(CANDIDATE)),
        (SERVICE, {"metadata": {"name": CANDIDATE}, "spec": {}}),
        (INFERENCE_SERVICE, _service("cat-v2")),
        (INFERENCE_SERVICE, _service("cat-v2-predictor")),
    ],
    ids=["Deployment", "Service", "InferenceService", "InferenceService by its route"],
)
def test_a_name_whose_pods_are_anothers_is_refused(other: tuple[Kind, Manifest]) -> None:
    objects, traffic = _cluster(other)
    with pytest.raises(NotPossible, match=r"cat-v2-predictor, which is another's: .* --version-name"):
        traffic.start(Candidate(SECOND, 10))
    assert objects.get(CONFIG_MAP, "default", "cat-canary") is None
    assert traffic.start(Candidate(SECOND, 10, "better")).write is not None


def test_a_name_that_became_anothers_after_the_record_is_refused() -> None:
    objects, traffic = _cluster()
    traffic.take(traffic.start(Candidate(SECOND, 10)))
    objects.put(INFERENCE_SERVICE, _service("cat-v2"))
    with pytest.raises(NotPossible, match="another's"):
        traffic.start(Candidate(SECOND, 10))


def test_what_kserve_has_not_taken_away_of_an_earlier_candidate_is_no_others() -> None:
    deployment = _deployment(CANDIDATE)
    deployment["metadata"]["ownerReferences"] = [{"uid": "uid-of-cat"}]
    _, traffic = _cluster((DEPLOYMENT, deployment))
    assert traffic.start(Candidate(SECOND, 10)).write is not None


def test_a_cluster_without_the_gateway_api_has_no_canary() -> None:
    class Without(Memory):
        @override
        def get(self, kind: Kind, namespace: str, name: str) -> Manifest | None:
            if kind == HTTP_ROUTE:
                raise NoSuchKind(kind.resource)
            return super().get(kind, namespace, name)

    _, traffic = _cluster(kind=Without)
    with pytest.raises(NotPossible, match="cat has no HTTPRoute"):
        traffic.start(Candidate(SECOND, 10))
    assert traffic.read().stable.percent is None


def test_an_abort_after_a_promotion_that_was_edited_takes_nothing_away() -> None:
    objects, traffic = _promoted(maxReplicas=20)
    observed = traffic.read()
    assert (observed.phase, observed.has_its_place, observed.stable.ready) == (Phase.EDITED, True, True)
    for despite in (False, True):
        with pytest.raises(WrongPhase, match="promote cat --despite-edits takes its record away"):
            traffic.abort(despite_edits=despite)
    with pytest.raises(Edited):
        traffic.promote()
    with pytest.raises(WrongPhase, match="was promoted already"):
        traffic.set_percent(20, despite_edits=True)
    step = traffic.promote(despite_edits=True)
    assert step.ends
    traffic.take(step)
    assert _bounds(objects) == (PODS, 20)


def test_an_abort_after_a_promotion_whose_model_was_set_back_by_hand_only_forgets() -> None:
    objects, traffic = _promoted(model={"modelFormat": {"name": "onnx"}, "storageUri": FIRST})
    before = _get(objects)["spec"]
    assert traffic.read().phase is Phase.EDITED
    step = traffic.abort()
    assert step.ends
    traffic.take(step)
    assert _get(objects)["spec"] == before


@pytest.mark.parametrize("seen", [1, 0])
def test_an_abort_waits_until_the_gateway_has_seen_that_the_candidate_gets_nothing(seen: int) -> None:
    objects, traffic = _running(50)
    traffic.take(traffic.abort())
    for lagging in (_route(stable=50, candidate=50), _route(stable=100, candidate=0, seen=seen)):
        objects.put(HTTP_ROUTE, lagging)
        assert traffic.abort().waits is Wait.SPLIT
    assert "take spec.canary of cat away with kubectl" in traffic.abort().says
    objects.put(HTTP_ROUTE, _route(stable=100, candidate=0))
    traffic.take(traffic.abort())
    assert _get(objects)["spec"] == _service()["spec"]


def test_the_way_out_of_an_abort_whose_gateway_is_gone_restores_the_number_of_pods() -> None:
    objects, traffic = _running(50)
    service = _get(objects)
    del service["spec"]["canary"]
    objects.put(INFERENCE_SERVICE, service)
    objects.put(HTTP_ROUTE, _route(stable=100, seen=1))
    traffic.take(traffic.abort())
    assert _get(objects)["spec"] == _service()["spec"]
    objects.delete(DEPLOYMENT, "default", CANDIDATE, f"uid-of-{CANDIDATE}")
    assert traffic.abort().ends


def test_the_stable_version_keeps_its_pods_at_each_step() -> None:
    objects, traffic = _running(90)
    assert _bounds(objects) == (PODS + 9, None, 9)
    traffic.take(traffic.set_percent(10))
    assert _bounds(objects) == (PODS + 1, None, 1)
    objects.put(HTTP_ROUTE, _route(stable=90, candidate=10))
    assert (traffic.set_percent(10).is_last, traffic.read().phase) == (True, Phase.RUNNING)
    traffic.take(traffic.set_percent(50))
    assert (_bounds(objects), traffic.read().wished) == ((PODS + 5, None, 5), 10)
    traffic.take(traffic.promote())
    assert _bounds(objects) == (2 * PODS, None, PODS)
    traffic.take(traffic.promote())
    objects.put(HTTP_ROUTE, _route(stable=0, candidate=100))
    traffic.take(traffic.promote())
    assert (_bounds(objects), traffic.read().phase) == ((PODS, None), Phase.PROMOTED)


def test_an_upper_bound_that_leaves_no_room_is_raised_and_taken_back() -> None:
    objects, traffic = _cluster()
    objects.put(INFERENCE_SERVICE, _service(maxReplicas=12))
    for _ in range(2):
        traffic.take(traffic.start(Candidate(SECOND, 50)))
    assert _bounds(objects) == (15, 15, 5)
    traffic.take(traffic.abort())
    assert _bounds(objects) == (PODS, 12)


def test_that_somebody_changes_the_number_of_pods_is_noticed() -> None:
    objects, traffic = _running(50)
    service = _get(objects)
    service["spec"]["predictor"]["minReplicas"] = 30
    objects.put(INFERENCE_SERVICE, service)
    with pytest.raises(Edited, match="minReplicas"):
        traffic.set_percent(60)


@pytest.mark.parametrize(
    ("before", "edited", "after"),
    [
        ({}, {"minReplicas": 30}, (30, None)),
        ({}, {"maxReplicas": 40}, (PODS, 40)),
        ({}, {"minReplicas": PODS}, (PODS, None)),
        ({"maxReplicas": 12}, {"minReplicas": 14, "maxReplicas": 18}, (14, 18)),
        ({"maxReplicas": 12}, {"minReplicas": 14}, (14, 15)),
    ],
)
def test_a_promotion_despite_edits_keeps_the_edited_number_of_pods(
    before: dict[str, int], edited: dict[str, int], after: tuple[int, int | None]
) -> None:
    objects, traffic = _running(50, **before)
    _edit(objects, **edited)
    for _ in range(9):
        traffic.take(traffic.promote(despite_edits=True))
        if traffic.read().phase is Phase.PROMOTED:
            break
        (entry,) = _get(objects)["spec"]["canary"]
        objects.put(DEPLOYMENT, _deployment(CANDIDATE, 50))
        objects.put(HTTP_ROUTE, _route(stable=100 - entry["trafficPercent"], candidate=entry["trafficPercent"]))
    assert _bounds(objects) == after


def test_before_the_promotion_the_candidate_is_as_large_as_the_edited_bounds_ask() -> None:
    objects, traffic = _running(50)
    _edit(objects, minReplicas=30)
    first = traffic.promote(despite_edits=True)
    assert first.says == "keep the edited number of pods (minReplicas 30, maxReplicas unset) in ConfigMap cat-canary"
    assert "as many pods as the stable version has (30)" in first.then[0]
    assert "+    minReplicas: 30" in first.changes
    traffic.take(first)
    traffic.take(traffic.promote())
    assert _bounds(objects) == (60, None, 30)


def test_a_share_that_is_set_despite_edits_keeps_the_edited_number_of_pods() -> None:
    objects, traffic = _running(50)
    _edit(objects, minReplicas=30)
    for _ in range(2):
        traffic.take(traffic.set_percent(60, despite_edits=True))
    assert _bounds(objects) == (30 + 18, None, 18)
    assert traffic.read().phase is Phase.RUNNING


@pytest.mark.parametrize("most", [None, 4])
@pytest.mark.parametrize("edited", [{}, {"maxReplicas": 8}], ids=["alone", "with an upper bound"])
def test_candidates_pods_that_were_edited_are_none_of_the_stable_versions(
    most: int | None, edited: dict[str, int]
) -> None:
    before = {"minReplicas": 2} | ({"maxReplicas": most} if most else {})
    objects, traffic = _running(10, **before)
    service = _get(objects)
    service["spec"]["predictor"] |= edited
    service["spec"]["canary"][0]["predictor"]["minReplicas"] = 2
    objects.put(INFERENCE_SERVICE, service)
    with pytest.raises(Edited):
        traffic.set_percent(20)
    while not (step := traffic.set_percent(20, despite_edits=True)).waits:
        traffic.take(step)
    assert _bounds(objects) == (3, edited.get("maxReplicas", most), 1)
    assert traffic.read().phase is Phase.RUNNING


def test_an_edited_number_of_pods_that_another_candidate_would_need_room_for_is_an_edit() -> None:
    objects, traffic = _running(10, minReplicas=2)
    _edit(objects, minReplicas=4)
    for _ in range(2):
        traffic.take(traffic.set_percent(10, despite_edits=True))
    assert _bounds(objects) == (5, None, 1)


def test_a_record_that_changed_since_it_was_read_is_not_deleted() -> None:
    objects, traffic = _promoted()
    step = traffic.promote()
    assert step.ends
    objects.put(CONFIG_MAP, _get(objects, CONFIG_MAP, "cat-canary"))
    with pytest.raises(Conflict):
        traffic.take(step)
    traffic.take(traffic.promote())
    assert objects.get(CONFIG_MAP, "default", "cat-canary") is None


def test_what_else_was_edited_leaves_the_number_of_pods_alone() -> None:
    objects, traffic = _running(50)
    _edit(objects, timeout=30)
    traffic.take(traffic.promote(despite_edits=True))
    assert _bounds(objects) == (2 * PODS, None, PODS)


def test_a_kserve_that_names_no_candidate_and_a_gateway_that_lags_are_awaited_apart() -> None:
    objects, traffic = _running(50)
    objects.put(HTTP_ROUTE, _route(stable=50, candidate=50, seen=1))
    assert traffic.set_percent(50).waits is Wait.SPLIT
    objects.put(HTTP_ROUTE, _route(stable=100))
    assert traffic.set_percent(50).waits is Wait.SPLIT  # it was named before
    objects, traffic = _cluster()
    for _ in range(2):
        traffic.take(traffic.start(Candidate(SECOND, 50)))
    objects.put(DEPLOYMENT, _deployment(CANDIDATE))
    assert traffic.start(Candidate(SECOND, 50)).waits is Wait.ROUTE


def test_what_is_awaited_says_what_is_written_after_it() -> None:
    objects, traffic = _running(10)
    objects.put(DEPLOYMENT, _deployment(CANDIDATE, 0))
    step = traffic.set_percent(9)
    assert step.waits is Wait.CANDIDATE
    assert "to 9 %" in step.then[0]


@pytest.mark.parametrize("pods", [PODS, PODS + 1], ids=["the whole spec", "spec.canary alone"])
def test_who_takes_each_write_back_is_asked_about(pods: int) -> None:
    class Keeper(Memory):
        """Somebody who keeps the spec, or what they own of it, as it was."""

        def patch(self, *arguments: Any, **options: Any) -> Manifest:
            done = super().patch(*arguments, **options)
            if not options.get("dry_run"):
                self.put(INFERENCE_SERVICE, _service(minReplicas=pods))
            return done

    objects, traffic = _cluster(kind=Keeper)
    with pytest.raises(TakenBack, match="Who else owns the spec"):
        drive(
            traffic,
            lambda: traffic.start(Candidate(SECOND, 10)),
            limits=dict.fromkeys(Wait, 10.0),
            tell=lambda _: None,
            clock=lambda: 0.0,
            sleep=lambda _: None,
        )
    while not (step := traffic.abort()).ends:
        assert isinstance(step.write, Patch)
        Memory.patch(objects, INFERENCE_SERVICE, "default", "cat", step.write.operations)  # the other one was stopped
    assert _get(objects)["spec"] == _service()["spec"]
