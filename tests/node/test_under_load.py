"""No request is lost while pods come and go."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.node.callers import Tally, asking
from tests.node.served import Served

ENOUGH = 40
"""Answers of each kind of client before anything happens, and after."""


@pytest.fixture
def two_pods(served: Served) -> Iterator[Served]:
    """The service with two replicas."""
    served.change(minReplicas=2, maxReplicas=2)
    served.wait_available(2)
    yield served
    served.change(minReplicas=1, maxReplicas=1)
    served.wait_available(1)


def test_a_rolling_update_loses_no_request(served: Served, cat: bytes) -> None:
    (old,) = served.pods()
    with asking(served, cat) as tally:
        _wait_for_more(served, tally)
        served.change(model={"env": [{"name": "RELEASE", "value": "2"}]})
        served.wait_for_pod(lambda pod: pod["metadata"]["name"] != old["metadata"]["name"])
        served.wait_available()
        served.wait_until_gone(old)
        _wait_for_more(served, tally)
    print(f"\nrolling update: {tally}")

    assert tally.failures == []


def test_a_pod_that_is_deleted_loses_no_request(two_pods: Served, cat: bytes) -> None:
    victim = two_pods.pods()[0]
    with asking(two_pods, cat) as tally:
        _wait_for_more(two_pods, tally)
        two_pods.kubectl("delete", "pod", victim["metadata"]["name"], "--wait=false")
        two_pods.wait_until_gone(victim)
        two_pods.wait_available(2)
        _wait_for_more(two_pods, tally)
    print(f"\npod deleted: {tally}")

    assert tally.failures == []


def test_the_only_pod_that_is_deleted_drains_while_its_successor_starts(served: Served, cat: bytes) -> None:
    """One replica is not enough to lose nothing: what fails is refused, and none that was accepted is lost."""
    (victim,) = served.pods()
    with asking(served, cat) as tally:
        _wait_for_more(served, tally)
        served.kubectl("delete", "pod", victim["metadata"]["name"], "--wait=false")
        served.wait_until_gone(victim)
        served.wait_available()
        _wait_for_more(served, tally)
    print(f"\nthe only pod deleted: {tally}; {tally.failures[:1]} to {tally.failures[-1:]}")

    assert all("ConnectError" in each or "UNAVAILABLE" in each for each in tally.failures), tally.failures


def _wait_for_more(served: Served, tally: Tally) -> None:
    before = dict(tally.answered)
    served.cluster.until(
        lambda: (
            len(tally.answered) == 4
            and all(count - before.get(kind, 0) >= ENOUGH for kind, count in tally.answered.items())
        ),
        f"there are no answers: {tally}, {tally.failures[-5:]}",
    )
