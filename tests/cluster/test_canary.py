"""What holds of a canary in both modes. In Standard mode the split is played, as in `test_canary_standard`."""

from __future__ import annotations

import pytest

from rollout import AlreadyThere, Candidate, Conflict, Edited, PercentInvalid, Phase, WrongPhase
from rollout.kinds import CONFIG_MAP as RECORD
from rollout.step import delete_of
from tests.cluster.canaries import FIRST, SECOND, THIRD, PlayedSplit, Stage, api_objects, shares, stage
from tests.cluster.cluster import Cluster
from tests.cluster.examples import predictor, stored
from tests.cluster.kinds import CONFIG_MAP
from tests.cluster.manifests import Manifest


@pytest.fixture
def demo(cluster: Cluster) -> Stage:
    return stage(cluster, {"predictor": predictor(stored(FIRST), minReplicas=1)}, PlayedSplit(api_objects(cluster)))


def _untouched(demo: Stage, before: Manifest) -> bool:
    after = demo.service()
    same = after["spec"] == before["spec"] and after["metadata"]["generation"] == before["metadata"]["generation"]
    return same and demo.cluster.get(CONFIG_MAP, "demo-canary", demo.namespace) is None


@pytest.mark.parametrize("percent", [100, 101, -1])
def test_a_share_that_no_candidate_has_is_refused_before_anything_is_written(demo: Stage, percent: int) -> None:
    before = demo.service()
    with pytest.raises(PercentInvalid):
        demo.start(percent=percent)
    assert _untouched(demo, before)


def test_a_second_start_is_refused_while_one_runs(demo: Stage) -> None:
    demo.start(percent=10)
    with pytest.raises(WrongPhase, match=f"there already: .*{SECOND}"):
        demo.start(THIRD, percent=10)
    assert shares(demo.read()) == (90, 10)


@pytest.mark.parametrize("verb", ["set", "promote", "abort"])
def test_an_edit_in_between_is_noticed_and_named(demo: Stage, verb: str) -> None:
    demo.start(percent=10)
    demo.edit({"spec": {"predictor": {"timeout": 30}}})
    steps = {
        "set": lambda each: each.set_percent(20),
        "promote": lambda each: each.promote(),
        "abort": lambda each: each.abort(),
    }
    generation = demo.service()["metadata"]["generation"]
    with pytest.raises(Edited, match=r"predictor.timeout: \(absent\) -> 30"):
        demo.run(steps[verb])
    assert demo.service()["metadata"]["generation"] == generation
    assert demo.read().differences == ("predictor.timeout: (absent) -> 30",)


def test_an_abort_despite_edits_restores_what_was_there_before_the_start(demo: Stage) -> None:
    before = demo.service()
    demo.start(percent=10)
    demo.edit({"spec": {"predictor": {"timeout": 30}}})
    demo.run(lambda traffic: traffic.abort(despite_edits=True))
    assert demo.service()["spec"] == before["spec"]


def test_a_step_decided_before_an_edit_is_not_taken(demo: Stage) -> None:
    demo.start(percent=10)
    traffic = demo.traffic()
    step = traffic.set_percent(20)
    demo.edit({"spec": {"predictor": {"timeout": 30}}})
    with pytest.raises(Conflict):
        traffic.take(step)
    assert demo.read().wished == 10


def test_a_record_that_somebody_wrote_into_since_it_was_read_is_not_deleted(demo: Stage) -> None:
    demo.start(percent=10)
    record = demo.objects.get(RECORD, demo.namespace, "demo-canary")
    assert record is not None
    demo.cluster.patch(CONFIG_MAP, "demo-canary", demo.namespace, {"data": {"note": "mine"}})
    with pytest.raises(Conflict):
        delete_of(RECORD, record).take(demo.objects)
    assert demo.read().phase is Phase.RUNNING


def test_of_two_who_start_at_once_one_is_told_of_the_other(demo: Stage) -> None:
    one = demo.traffic()
    step = one.start(Candidate(SECOND, 10))
    demo.start(THIRD, percent=20)
    with pytest.raises(AlreadyThere):
        one.take(step)
    with pytest.raises(WrongPhase, match=THIRD):
        one.start(Candidate(SECOND, 10))
    assert shares(demo.read()) == (80, 20)
