"""The search, on predictors that are functions of their flags, and a clock that they move."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from cli.tune.conclusion import conclude
from cli.tune.pace import Pace
from cli.tune.score import Bound, Curve, Level
from cli.tune.stand import Failed, NextClients
from cli.tune.tuning import TooShort, Tuning
from predictor.settings import PredictorSettings
from serving.contract import Batching, Runtime
from tests.unit.predictor.graphs import contract
from tests.unit.tune.made_up import P99_100, sample

LOAD_S = 2.0


@dataclass
class Machine:
    """Answers `rows(settings)` rows a second where there are two clients or more; slower and slower as time goes by."""

    rows: Callable[[Batching], float]
    pays: tuple[int, ...] = (1,)
    now: float = 0.0
    stops_at: float = float("inf")
    served: list[Batching] = field(default_factory=list)
    device: str = "cpu"
    load_s: float = LOAD_S
    said: list[str] = field(default_factory=list)

    @property
    def stopped(self) -> bool:
        return self.now >= self.stops_at

    @contextmanager
    def serve(self, flags: Sequence[str]) -> Iterator[Machine]:
        self.now += LOAD_S
        batching = PredictorSettings.parse(flags, "predictor").batching(contract().batching)
        self.served.append(batching)
        yield self

    def curve(self, seconds: float, next_clients: NextClients) -> Curve:
        levels: Curve = ()
        while (clients := next_clients(levels)) is not None and not self.stopped:
            self.now += seconds
            rows = self.rows(self.served[-1]) * min(clients, 2) / 2 * (1 - self.now / 2000)
            levels = (*levels, Level(clients=clients, sample=sample(rows, 1000 * clients / rows)))
        return levels


def tuning(machine: Machine, budget_s: float = 300, bound: Bound | None = P99_100, cpus: int = 2) -> Tuning:
    said = machine.said
    return Tuning(
        stand=machine, contract=contract(), pace=Pace(3.0), budget_s=budget_s, cpus=cpus, asked_bound=bound,
        device="auto", runtimes=(Runtime(),), show=lambda _doing: None, tell=said.append, clock=lambda: machine.now,
    )  # fmt: skip


def best_of(search: Tuning) -> Batching | None:
    found = conclude(search.trials, search.contenders, search.known_bound(), contract())
    return found.best.candidate.batching if found.best and found.is_sure else None


def test_the_arrangement_that_does_the_most_is_found_though_the_machine_gets_slower() -> None:
    machine = Machine(lambda batching: 130 if batching.threads == 2 else 100)
    search = tuning(machine)

    search.run()

    best = best_of(search)
    assert best is not None
    assert (best.instances, best.threads) == (1, 2)
    assert machine.now <= 300


def test_where_all_do_the_same_everything_is_kept() -> None:
    search = tuning(Machine(lambda _batching: 100))

    search.run()

    assert len(search.default.rounds) == 5
    assert best_of(search) is None


def test_what_there_is_is_measured_beside_the_finalists_in_turn() -> None:
    machine = Machine(lambda _batching: 100)
    tuning(machine, budget_s=150).run()

    lanes = [batching.instances for batching in machine.served]

    assert lanes[:3] == [None, 2, 1]  # to see what pays; as it is; the only other
    assert lanes[3:7] == [2, 1, 1, 2]


def test_a_hopeless_candidate_is_not_measured_again() -> None:
    machine = Machine(lambda batching: 40 if batching.threads == 2 else 100)
    search = tuning(machine)

    search.run()

    assert len(machine.served) == 3
    assert best_of(search) is None


def test_sizes_and_delays_are_tried_where_batches_pay() -> None:
    """Best are batches of 16 without delay."""
    machine = Machine(
        lambda batching: 100 + 20 * (batching.max_batch_size == 16) + 20 * (batching.max_delay_ms == 0),
        pays=(1, 2, 4, 8, 16, 32),
    )
    search = tuning(machine, budget_s=900)

    search.run()

    best = best_of(search)
    assert best is not None
    assert (best.max_batch_size, best.max_delay_ms) == (16, 0)
    assert any(not batching.adaptive for batching in machine.served)


def test_candidates_that_there_is_no_time_for_are_counted() -> None:
    machine = Machine(lambda _batching: 100, pays=(1, 2, 4, 8, 16))
    search = tuning(machine, budget_s=100)

    search.run()

    assert search.untried > 0
    assert machine.now <= 100
    assert len(search.default.rounds) >= 3


def test_what_turns_out_to_be_no_other_is_left_out() -> None:
    """A first start takes two rows to pay; those after it do not."""

    class Wavering(Machine):
        @contextmanager
        def serve(self, flags: Sequence[str]) -> Iterator[Machine]:
            with super().serve(flags):
                self.pays = (1, 2) if len(self.served) <= 2 else (1,)
                yield self

    machine = Wavering(lambda _batching: 100)
    search = tuning(machine)

    search.run()

    assert [each.name(Runtime()) for each in search.trials] == ["2x1, batch 2, 5 ms", "1x2"]


def test_a_candidate_that_fails_is_kept_with_the_reason() -> None:
    def rows(batching: Batching) -> float:
        if batching.instances == 3:
            raise Failed("the device has no memory for 3 instances")
        return 100 if batching.instances == 2 else 120

    machine = Machine(rows, device="cuda")
    search = tuning(machine)

    search.run()

    assert [each.reason for each in search.trials if each.reason] == ["the device has no memory for 3 instances"]
    best = best_of(search)
    assert best is not None
    assert best.instances == 1


def test_a_model_that_fails_as_it_is_ends_it() -> None:
    def rows(_batching: Batching) -> float:
        raise Failed("no such file")

    with pytest.raises(Failed, match="no such file"):
        tuning(Machine(rows)).run()


def test_a_model_that_cannot_run_large_batches_is_looked_at_with_its_own() -> None:
    class Picky(Machine):
        @contextmanager
        def serve(self, flags: Sequence[str]) -> Iterator[Machine]:
            with super().serve(flags):
                if self.served[-1].max_batch_size > 32:
                    raise Failed("the model fails on 64 rows")
                yield self

    search = tuning(Picky(lambda _batching: 100))

    search.run()

    assert not any(each.reason for each in search.trials)


def test_a_budget_that_allows_no_comparison_says_what_is_needed() -> None:
    machine = Machine(lambda _batching: 100)
    with pytest.raises(TooShort, match=r"a budget of 10 s allows no comparison.*--budget 40 or more"):
        tuning(machine, budget_s=10).run()
    assert len(machine.served) == 1  # to learn how long a start takes

    search = tuning(Machine(lambda _batching: 100), budget_s=40)
    search.run()
    assert len(search.default.rounds) >= 3


@pytest.mark.parametrize("budget_s", range(40, 121, 5))
def test_a_budget_that_is_enough_compares_one_candidate_at_the_least(budget_s: int) -> None:
    machine = Machine(lambda batching: 130 if batching.threads == 2 else 100)
    search = tuning(machine, budget_s=budget_s)

    search.run()

    best = best_of(search)
    assert best is not None
    assert best.threads == 2
    assert machine.now <= budget_s


def test_windows_are_shortened_to_what_the_budget_buys_and_that_is_said_before_any_load() -> None:
    machine = Machine(lambda _batching: 100)
    search = tuning(machine, budget_s=60)
    served_when_said: list[int] = []

    def tell(what: str) -> None:
        machine.said.append(what)
        served_when_said.append(len(machine.served))

    search.tell = tell

    search.run()

    assert served_when_said[0] == 1
    assert machine.said[0].startswith("60 s buy a look at up to 1 other candidate, and a final of 3 rounds")
    assert "in windows of 1." in machine.said[0]


def test_windows_are_as_long_as_asked_where_the_budget_allows_it() -> None:
    machine = Machine(lambda _batching: 100)
    search = tuning(machine, budget_s=300)

    search.run()

    assert search.pace == Pace(3.0)
    (said,) = machine.said
    assert "in windows of 3 s" in said


def test_without_a_bound_it_is_three_times_a_lone_requests_median() -> None:
    search = tuning(Machine(lambda _batching: 100), bound=None)

    search.run()

    bound = search.known_bound()
    assert bound.percentile == "p50"
    assert bound.ms == pytest.approx(60, rel=0.1)


def test_what_ctrl_c_cuts_short_is_not_counted() -> None:
    machine = Machine(lambda batching: 130 if batching.threads == 2 else 100, stops_at=60)
    search = tuning(machine)

    search.run()

    whole = {len(each.short) for each in search.trials}
    assert 0 not in whole
    assert all(len(curve) == len(search.default.rounds[0]) for curve in search.default.rounds)
    assert machine.now < 70


def test_one_cpu_and_no_batches_leave_nothing_to_try() -> None:
    machine = Machine(lambda _batching: 100)
    search = tuning(machine, cpus=1)

    search.run()

    assert len(search.trials) == 1
    found = conclude(search.trials, search.contenders, P99_100, contract())
    assert found.sentence == "Keep model.yaml as it is: no other candidate was measured."
