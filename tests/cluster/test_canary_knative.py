"""A canary by hand in Knative mode: KServe's controller is real, Knative's revisions are played."""

from __future__ import annotations

from typing import Any

import pytest

from rollout import Candidate, Conflict, NotPossible, NotReady, PercentInvalid, Phase, WrongPhase
from tests.cluster.canaries import FIRST, NAME, SECOND, THIRD, Killed, Mortal, Stage, shares, stage
from tests.cluster.cluster import Cluster
from tests.cluster.examples import predictor, stored
from tests.cluster.kinds import CONFIG_MAP, INFERENCE_SERVICE, KNATIVE_SERVICE
from tests.cluster.manifests import Manifest
from tests.cluster.node import Node

REVISIONS = "demo-predictor"


@pytest.fixture
def demo(knative: Cluster) -> Stage:
    return stage(knative, {"predictor": predictor(stored(FIRST), minReplicas=1)})


def _record(demo: Stage) -> Manifest | None:
    return demo.cluster.get(CONFIG_MAP, "demo-canary", demo.namespace)


def _knative(demo: Stage) -> Manifest:
    return demo.cluster.wait_for(KNATIVE_SERVICE, REVISIONS, demo.namespace)


def _asked(demo: Stage) -> list[tuple[Any, Any]]:
    return [(each.get("revisionName", "latest"), each["percent"]) for each in _knative(demo)["spec"]["traffic"]]


def _untouched(demo: Stage, before: Manifest) -> bool:
    after = demo.service()
    same = after["spec"] == before["spec"] and after["metadata"]["generation"] == before["metadata"]["generation"]
    return same and _record(demo) is None


def test_a_canary_is_started_set_and_promoted(demo: Stage) -> None:
    demo.start(percent=10)
    observed = demo.read()
    assert (observed.phase, observed.wished, shares(observed)) == (Phase.RUNNING, 10, (90, 10))
    assert (observed.stable.uri, observed.candidate and observed.candidate.uri) == (FIRST, SECOND)
    demo.run(lambda traffic: traffic.set_percent(60))
    assert shares(demo.read()) == (40, 60)
    demo.run(lambda traffic: traffic.promote())
    observed = demo.read()
    assert (observed.phase, observed.stable.name, observed.stable.uri) == (Phase.NONE, f"{REVISIONS}-00002", SECOND)
    assert shares(observed) == (100, None)
    assert "canaryTrafficPercent" not in demo.service()["spec"]["predictor"]
    assert _record(demo) is None


def test_the_candidate_can_be_asked_alone(demo: Stage) -> None:
    demo.start(percent=0)
    candidate = demo.read().candidate
    assert candidate is not None
    assert (candidate.percent, candidate.ready) == (0, True)
    assert candidate.url == f"http://latest-{REVISIONS}.{demo.namespace}.example.com"


def test_promoting_makes_no_new_revision(demo: Stage) -> None:
    demo.start(percent=99)
    demo.run(lambda traffic: traffic.promote())
    assert _knative(demo)["status"]["latestCreatedRevisionName"] == f"{REVISIONS}-00002"


def test_an_abort_restores_the_spec_and_the_traffic(demo: Stage) -> None:
    before = demo.service()
    demo.start(percent=30)
    demo.run(lambda traffic: traffic.abort())
    after = demo.service()
    assert after["spec"] == before["spec"]
    assert after["metadata"].get("annotations") == before["metadata"].get("annotations")
    observed = demo.read()
    assert (observed.phase, observed.stable.name, shares(observed)) == (Phase.NONE, f"{REVISIONS}-00003", (100, None))
    assert _record(demo) is None


def test_an_abort_gives_the_candidate_nothing_while_the_restored_revision_comes_up(demo: Stage) -> None:
    demo.start(percent=30)
    node = Node(demo.cluster)
    demo.play = lambda: node.roll_out(REVISIONS, demo.namespace, ready=False)
    traffic = demo.traffic()
    demo.take(lambda each: each.abort())
    demo.cluster.until(
        lambda: traffic.read().stable.percent == 100 or not demo.play(), "the stable version has not all"
    )
    observed = demo.read()
    assert observed.phase is Phase.ABORTING
    assert _asked(demo) == [("latest", 0), (f"{REVISIONS}-00001", 100)]
    assert _knative(demo)["status"]["latestReadyRevisionName"] == f"{REVISIONS}-00002"  # the candidate: it gets nothing
    assert traffic.abort().waits is not None
    demo.play = lambda: node.roll_out(REVISIONS, demo.namespace)
    demo.run(lambda each: each.abort())
    assert shares(demo.read()) == (100, None)


def test_after_an_abort_another_canary_can_be_started(demo: Stage) -> None:
    demo.start(percent=30)
    demo.run(lambda traffic: traffic.abort())
    demo.start(THIRD, percent=5)
    assert shares(demo.read()) == (95, 5)


def test_a_share_of_a_running_candidate_is_capped_until_promotion(demo: Stage) -> None:
    demo.start(percent=10)
    with pytest.raises(PercentInvalid, match="promote it instead"):
        demo.run(lambda traffic: traffic.set_percent(100))
    demo.run(lambda traffic: traffic.set_percent(0))
    assert shares(demo.read()) == (100, 0)
    assert demo.read().stable.name == f"{REVISIONS}-00001"


def test_a_canary_that_somebody_made_by_hand_is_left_alone(demo: Stage) -> None:
    by_hand = predictor(stored(SECOND), minReplicas=1, canaryTrafficPercent=20)
    demo.edit({"spec": {"predictor": by_hand}})
    with pytest.raises(WrongPhase, match="canaryTrafficPercent 20, and kserve-vision did not start"):
        demo.start(THIRD)
    assert _record(demo) is None


@pytest.mark.parametrize("uri", [FIRST, "models/2", "s3://models/ 2"])
def test_a_uri_that_is_none_or_serves_already_is_refused(demo: Stage, uri: str) -> None:
    before = demo.service()
    with pytest.raises(NotPossible):
        demo.start(uri)
    assert _untouched(demo, before)


def test_what_kserve_refuses_is_refused_before_anything_is_written(demo: Stage) -> None:
    demo.edit({"spec": {"predictor": {"minReplicas": 1}}})
    before = demo.service()
    with pytest.raises(NotPossible, match="no name"):
        demo.start(name="Not_A_Name")
    assert _untouched(demo, before)


def test_a_name_that_is_not_there_is_a_sentence(knative: Cluster, demo: Stage) -> None:
    del knative
    other = Stage(demo.cluster, "default", demo.play, demo.objects)
    with pytest.raises(NotPossible, match="no InferenceService demo in the namespace default"):
        other.read()


def test_a_candidate_that_does_not_come_up_is_not_promoted(demo: Stage) -> None:
    traffic, node = demo.traffic(), Node(demo.cluster)
    for _ in range(2):
        demo.take(lambda each: each.start(Candidate(SECOND, 10)))
    demo.cluster.wait_for(KNATIVE_SERVICE, REVISIONS, demo.namespace, lambda each: len(each["spec"]["traffic"]) > 1)
    with pytest.raises(NotReady, match="not looked at it yet"):
        traffic.promote()
    node.roll_out(REVISIONS, demo.namespace, ready=False)
    with pytest.raises(NotReady, match="00002 is not ready: RevisionFailed"):
        traffic.promote()
    observed = demo.read()
    assert observed.candidate is not None
    assert (observed.candidate.ready, observed.stable.percent) == (False, 100)
    assert "RevisionFailed" in observed.candidate.why


def test_nothing_to_set_promote_or_abort_is_a_sentence(demo: Stage) -> None:
    with pytest.raises(WrongPhase, match="canary start demo"):
        demo.run(lambda traffic: traffic.promote())
    with pytest.raises(WrongPhase, match="no canary of demo runs"):
        demo.run(lambda traffic: traffic.abort())


def test_a_promotion_despite_edits_keeps_them(demo: Stage) -> None:
    demo.start(percent=10)
    demo.edit({"spec": {"predictor": {"timeout": 30}}})
    demo.cluster.wait_for(
        KNATIVE_SERVICE,
        REVISIONS,
        demo.namespace,
        lambda each: each["spec"]["template"]["spec"].get("timeoutSeconds") == 30,
    )
    with pytest.raises(NotReady):
        demo.run(lambda traffic: traffic.promote(despite_edits=True))  # the edit made another revision
    demo.settle()
    demo.run(lambda traffic: traffic.promote(despite_edits=True))
    after = demo.service()["spec"]["predictor"]
    assert (after["timeout"], "canaryTrafficPercent" in after) == (30, False)
    assert demo.read().phase is Phase.NONE


def test_of_two_who_write_the_same_start_the_second_finds_it_done(demo: Stage) -> None:
    one = demo.traffic()
    demo.take(lambda each: each.start(Candidate(SECOND, 10)))
    step = one.start(Candidate(SECOND, 10))
    demo.start(SECOND, percent=10)
    with pytest.raises(Conflict):
        one.take(step)
    assert one.start(Candidate(SECOND, 10)).is_last


@pytest.mark.parametrize("writes", [1, 2])
def test_a_start_that_was_killed_is_finished_by_the_next(demo: Stage, writes: int) -> None:
    with pytest.raises(Killed):
        demo.start(percent=10, objects=Mortal(demo.objects, writes))
    demo.start(percent=10)
    assert shares(demo.read()) == (90, 10)


@pytest.mark.parametrize("writes", [1, 2])
def test_a_start_that_was_killed_can_be_aborted(demo: Stage, writes: int) -> None:
    before = demo.service()
    with pytest.raises(Killed):
        demo.start(percent=10, objects=Mortal(demo.objects, writes))
    demo.run(lambda traffic: traffic.abort())
    assert demo.service()["spec"] == before["spec"]
    assert _record(demo) is None


@pytest.mark.parametrize("writes", [1, 2])
def test_a_promotion_that_was_killed_is_finished_by_the_next(demo: Stage, writes: int) -> None:
    demo.start(percent=10)
    with pytest.raises(Killed):
        demo.run(lambda traffic: traffic.promote(), Mortal(demo.objects, writes))
    if writes == 1:
        assert demo.read().phase in (Phase.PROMOTING, Phase.PROMOTED)
        demo.run(lambda traffic: traffic.promote())
    observed = demo.read()
    assert (observed.phase, observed.stable.uri, shares(observed)) == (Phase.NONE, SECOND, (100, None))


@pytest.mark.parametrize("writes", [1, 2, 3])
def test_an_abort_that_was_killed_is_finished_by_the_next(demo: Stage, writes: int) -> None:
    before = demo.service()
    demo.start(percent=10)
    with pytest.raises(Killed):
        demo.run(lambda traffic: traffic.abort(), Mortal(demo.objects, writes))
    if writes < 3:
        with pytest.raises(WrongPhase):
            demo.start(THIRD)
        demo.run(lambda traffic: traffic.abort())
    assert demo.service()["spec"] == before["spec"]
    assert (demo.read().phase, _record(demo)) == (Phase.NONE, None)


def test_a_promoted_version_is_not_aborted(demo: Stage) -> None:
    demo.start(percent=10)
    with pytest.raises(Killed):
        demo.run(lambda traffic: traffic.promote(), Mortal(demo.objects, 1))
    demo.cluster.until(lambda: demo.read().phase is Phase.PROMOTED or bool(demo.play() and False), "it is not promoted")
    with pytest.raises(WrongPhase, match=f"--uri {FIRST} goes back"):
        demo.run(lambda traffic: traffic.abort())


def test_the_record_of_an_earlier_service_of_the_name_does_not_count(demo: Stage) -> None:
    """Nobody collects garbage here, which would take it away with its owner sooner or later."""
    demo.start(percent=10)
    spec = demo.service()["spec"]
    demo.cluster.delete(INFERENCE_SERVICE, NAME, demo.namespace)
    for name in (REVISIONS,):
        demo.cluster.delete(KNATIVE_SERVICE, name, demo.namespace)
    spec["predictor"].pop("canaryTrafficPercent")
    manifest = {"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService"}
    demo.cluster.apply({**manifest, "metadata": {"name": NAME}, "spec": spec}, demo.namespace)
    Node(demo.cluster).make_ready(NAME, demo.namespace)
    assert demo.read().phase is Phase.NONE
    demo.start(THIRD, percent=7)
    assert shares(demo.read()) == (93, 7)


def test_an_annotation_of_the_service_makes_a_new_revision(demo: Stage) -> None:
    """Why the record is not kept in one."""
    demo.edit({"metadata": {"annotations": {"example.com/record": "1"}}})
    demo.cluster.wait_for(
        KNATIVE_SERVICE,
        REVISIONS,
        demo.namespace,
        lambda each: "example.com/record" in each["spec"]["template"]["metadata"]["annotations"],
    )
