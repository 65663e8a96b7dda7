from __future__ import annotations

from contextlib import ExitStack

import pytest

from serving.admission import CROWD_ROWS, Admission, Bounds
from serving.errors import Overloaded, RequestTooLarge
from serving.metrics import Metrics


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Door:
    """An admission with its gauges and its clock."""

    def __init__(self, rows: int = 1000, size: int = 1000, wait_s: float = 0.5) -> None:
        self.metrics = Metrics("test")
        self.clock = Clock()
        self.admission = Admission("the test", Bounds(rows, size, wait_s), self.metrics.queue_of("m", "1"), self.clock)

    def count(self, name: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"kserve_vision_queue_{name}", {"model": "m", "version": "1"})

    def rejected(self, bound: str) -> float | None:
        labels = {"model": "m", "version": "1", "bound": bound}
        return self.metrics.registry.get_sample_value("kserve_vision_rejected_requests_total", labels)

    def serve(self, rows: int, seconds: float) -> None:
        """Let a request in that takes so long."""
        with self.admission.admit(rows):
            self.clock.now += seconds


def test_rows_and_bytes_are_counted_while_they_are_in() -> None:
    door = Door()

    with door.admission.admit(3, 30), door.admission.admit(1, 10):
        assert (door.count("rows"), door.count("bytes")) == (4, 40)
    assert (door.count("rows"), door.count("bytes")) == (0, 0)


def test_a_request_that_fails_gives_its_place_back() -> None:
    door = Door()

    with pytest.raises(ZeroDivisionError), door.admission.admit(3, 30):
        1 / 0  # noqa: B018

    assert (door.count("rows"), door.count("bytes")) == (0, 0)


@pytest.mark.parametrize(("rows", "size", "bound"), [(5, 0, "limit_rows"), (1, 41, "limit_bytes")])
def test_what_is_never_let_in_is_told_so(rows: int, size: int, bound: str) -> None:
    door = Door(rows=4, size=40)

    with pytest.raises(RequestTooLarge) as caught:
        door.admission.check(rows, size)
    assert bound in caught.value.details


@pytest.mark.parametrize(("rows", "size", "bound"), [(1, 0, "rows"), (0, 1, "mb")])
def test_what_is_over_a_bound_is_refused_until_others_have_left(rows: int, size: int, bound: str) -> None:
    door = Door(rows=4, size=40)

    with door.admission.admit(4, 40):
        with pytest.raises(Overloaded, match="MAX_QUEUE") as caught:
            door.admission.check(rows, size)
        assert caught.value.details == {"bound": bound}
        assert door.rejected(bound) == 1
        assert caught.value.retry_after_s == 1
    door.admission.check(rows, size)


def test_who_would_wait_too_long_is_refused_with_the_time_to_come_back() -> None:
    door = Door(wait_s=1.0)
    door.serve(40, 2.0)

    with ExitStack() as held:
        held.enter_context(door.admission.admit(40))

        with pytest.raises(Overloaded, match=r"40 rows are before it, about 2\.00 s") as caught:
            door.admission.check(1)
        assert caught.value.retry_after_s == 2
        assert caught.value.details == {"bound": "seconds"}
        assert door.rejected("seconds") == 1


def test_a_few_rows_may_wait_however_slow_the_model_is() -> None:
    door = Door(wait_s=1.0)
    door.serve(CROWD_ROWS, 1000.0)

    with door.admission.admit(CROWD_ROWS - 1):
        door.admission.check(1)


def test_a_large_request_alone_is_let_in_however_long_it_takes() -> None:
    door = Door(wait_s=1.0)
    door.serve(1000, 1000.0)

    door.admission.check(1000)


def test_lone_requests_do_not_tell_how_long_a_crowd_takes() -> None:
    """A device that does 32 rows in the time of one is quiet, and then gets a burst."""
    door = Door(wait_s=0.5)
    for _ in range(100):
        door.serve(1, 0.02)

    with door.admission.admit(200):
        door.admission.check(1)


def test_the_time_of_a_row_follows_the_crowds() -> None:
    door = Door(wait_s=1.0)
    door.serve(40, 40.0)
    for _ in range(100):
        door.serve(40, 0.2)

    with door.admission.admit(100):
        door.admission.check(1)


def test_the_time_of_a_row_counts_those_that_were_before_it() -> None:
    """Forty rows side by side, each answered after 0.4 s, are a hundred a second."""
    door = Door(wait_s=1.0)
    for _ in range(100):
        with door.admission.admit(39):
            door.serve(1, 0.4)

    with door.admission.admit(39):
        door.admission.check(1)


def test_work_that_is_not_the_whole_of_a_rows_teaches_nothing() -> None:
    door = Door(wait_s=1.0)
    door.serve(40, 2.0)
    for _ in range(100):
        with door.admission.admit(40, whole=False):
            door.clock.now += 0.001

    with door.admission.admit(40), pytest.raises(Overloaded):
        door.admission.check(1)


def test_a_request_that_fails_teaches_nothing() -> None:
    door = Door(wait_s=1.0)

    def fail_late() -> None:
        with door.admission.admit(40):
            door.clock.now += 100
            raise ValueError

    with pytest.raises(ValueError, match=r"^$"):
        fail_late()

    with door.admission.admit(40):
        door.admission.check(1)


def test_admissions_that_share_their_labels_are_counted_together() -> None:
    door = Door()
    successor = Admission("new", Bounds(9, 9, 9), door.metrics.queue_of("m", "1"))

    with door.admission.admit(3), successor.admit(2):
        assert door.count("rows") == 5
    assert door.count("rows") == 0


def test_the_rows_of_a_slow_model_make_nobody_else_late() -> None:
    door = Door(wait_s=1.0)
    with door.admission.admit(40, model="slow"):
        door.clock.now += 40.0

    with door.admission.admit(40, model="slow"):
        with pytest.raises(Overloaded, match=r"40 rows of model 'slow' are before it, about 40\.00 s"):
            door.admission.check(1, model="slow")
        door.admission.check(1, model="quick")


def test_rows_and_bytes_are_bounded_for_all_models_together() -> None:
    door = Door(rows=4, size=40)

    with door.admission.admit(4, 10, model="a"), pytest.raises(Overloaded, match="MAX_QUEUE_ROWS"):
        door.admission.check(1, model="b")
