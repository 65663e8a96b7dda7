"""The search: what is tried next, and for how long.

::

    probe ─▶ as it is ─▶ lanes x threads ─▶ sizes ─▶ delays ─▶ the final: what there is and the best others, in turn
             the bound    ╰── short windows; each step on the best third ──╯   as many rounds as the budget allows
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Protocol

from cli.processes import Stopped
from cli.tune.candidates import Candidate, arranged, as_it_is, delays, settled, sizes
from cli.tune.pace import (
    RAMP_S,
    ROUNDS,
    SHORTEST_S,
    USUAL_CLIMB,
    USUAL_RUNGS,
    Pace,
    best_of,
    buys,
    finalists,
    fitting,
    least_s,
    reserve_s,
    rounded_up,
    rounds_within,
)
from cli.tune.score import Bound, Curve, knee, ladder, next_clients, next_of, seconds_of
from cli.tune.stand import Failed, NextClients
from cli.tune.trial import Trial
from cli.tune.verdict import FEWEST_ROUNDS
from serving.contract import Contract, Runtime

STARTS: Final = 3 + 2 * FEWEST_ROUNDS
"""The fewest starts of a predictor that tell something: to see what pays, two trials, and a final of two."""
CEILING: Final = 64
"""The largest batch that is looked at: where a contract allows more, its own bound."""

Show = Callable[[str], None]
"""Is told what is being done."""
Duration = Callable[[Pace], float]
"""Seconds that something takes with windows of some length."""


class Running(Protocol):
    """A predictor that is ready; see `cli.tune.stand.Started`."""

    @property
    def pays(self) -> tuple[int, ...]:
        """The sizes of batches that are worth it."""

    @property
    def device(self) -> str:
        """Where the model runs."""

    @property
    def load_s(self) -> float:
        """Seconds until it was ready."""

    def curve(self, seconds: float, next_clients: NextClients) -> Curve:
        """Measure one number of clients after the other."""


class Place(Protocol):
    """Where predictors are measured; see `cli.tune.stand.Stand`."""

    @property
    def stopped(self) -> bool:
        """Whether Ctrl-C asked for an end."""

    def serve(self, flags: Sequence[str]) -> AbstractContextManager[Running]:
        """Run a predictor until the block ends."""


class TooShort(RuntimeError):
    """The budget allows no comparison; the message says how long is needed."""


@dataclass
class Tuning:
    """A search under way; what it has found until now can be read at any time."""

    stand: Place
    contract: Contract
    pace: Pace
    budget_s: float
    cpus: int
    asked_bound: Bound | None
    device: str
    """As it was asked for, and, once a predictor has started, as it was found."""
    runtimes: Sequence[Runtime]
    """The engines to try, the contract's own first."""
    show: Show
    tell: Show
    """Is told, once it is known, what the budget buys."""
    clock: Callable[[], float] = time.monotonic
    trials: list[Trial] = field(default_factory=list)
    """What there is comes first."""
    contenders: list[Trial] = field(default_factory=list)
    """Those of the final, what there is first."""
    bound: Bound | None = None
    """The promise: as it was asked for, or the knee of what there is."""
    untried: int = 0
    """Candidates that there was no time for."""
    _load_s: float = 0.0
    """Seconds that the predictor took to start."""
    _began: float = field(init=False)

    def __post_init__(self) -> None:
        self._began = self.clock()

    @property
    def default(self) -> Trial:
        """What `model.yaml` says now, measured."""
        return self.trials[0]

    @property
    def left_s(self) -> float:
        """Seconds of the budget that are left."""
        return self._began + self.budget_s - self.clock()

    @property
    def stopped(self) -> bool:
        """Whether Ctrl-C asked for an end."""
        return self.stand.stopped

    def run(self) -> None:
        """Search until all is known, the budget is spent, or Ctrl-C.

        Raises:
            Failed: the model cannot be served as it is.
            TooShort: the budget allows no comparison.
        """
        try:
            probed, ceiling = self._probe()
            if not self.stopped:
                self._fit(self._guessed_trial_s, self._guessed_round_s, measured=False)
                self._measure_default()
            if not self.stopped:
                self._fit(self._trial_s, lambda pace: self._round_s([self.default], pace), measured=True)
                self._search(probed, ceiling)
                self._final()
        except Stopped:
            return

    def ranked(self) -> list[Trial]:
        """Return what was measured by short windows, best first."""
        bound = self.known_bound()
        return sorted((each for each in self.trials if each.short), key=lambda each: -each.score(bound))

    def known_bound(self) -> Bound:
        """Return the bound, once what there is was measured."""
        assert self.bound is not None  # noqa: S101  # set with the first curve
        return self.bound

    def _probe(self) -> tuple[tuple[int, ...], int]:
        """Learn the device, which sizes pay where none is forbidden, and the largest that the model can run."""
        said = self.contract.batching.max_batch_size
        ceiling = max(said, CEILING)
        self.show("starting the predictor, to see which batches pay")
        try:
            return self._sizes_at(ceiling), ceiling
        except Failed:
            if ceiling == said:
                raise
            return self._sizes_at(said), said

    def _sizes_at(self, largest: int) -> tuple[int, ...]:
        flags = [f"--device={self.device}", f"--max_batch_size={largest}"]
        with self.stand.serve(flags) as started:
            self.device, self._load_s = started.device, started.load_s
            return started.pays

    def _measure_default(self) -> None:
        trial = Trial(as_it_is(self.contract, self.device, self.cpus), is_default=True)
        self.trials.append(trial)
        self._measure(trial, self._climb, self.pace.short_s)
        if trial.reason:
            raise Failed(trial.reason)

    def _fit(self, trial_s: Duration, round_s: Duration, *, measured: bool) -> None:
        """Shorten the windows until the budget is enough to compare one candidate with what there is; `trial_s` and
        `round_s` are what either takes to be tried, and in a round of the final. Tell what the budget buys then.

        Raises:
            TooShort: it is not enough with the shortest.
        """

        def cost_s(pace: Pace) -> float:
            before = 0.0 if measured else trial_s(pace)  # of what there is
            return before + least_s(trial_s(pace), round_s(pace))

        pace = fitting(self.pace, cost_s, self.left_s)
        if pace is None:
            shortest = Pace(min(self.pace.seconds, SHORTEST_S))
            needed = rounded_up(self.budget_s - self.left_s + cost_s(shortest))
            raise TooShort(
                f"a budget of {self.budget_s:g} s allows no comparison: the predictor starts in {self._load_s:.1f} s "
                f"here, {STARTS} times at the least, with windows of {shortest.seconds:g} s or more; give "
                f"--budget {needed} or more"
            )
        is_news = not measured or pace != self.pace
        self.pace = pace
        if is_news:
            left_s = self.left_s - (0.0 if measured else trial_s(pace))
            self.tell(buys(self.budget_s, left_s, pace, trial_s(pace), round_s(pace)))

    def _search(self, probed: Sequence[int], ceiling: int) -> None:
        """Try candidates, each step on the best of the one before."""
        self._try(arranged(self.default.candidate, self.runtimes, self.cpus, ceiling), probed, self._climb)
        for best in best_of(self.ranked()):
            self._try(sizes(best.candidate, best.pays), best.pays, self._along(best))
        for best in self.ranked()[:1]:
            self._try(delays(best.candidate, best.pays), best.pays, self._along(best))

    def _try(self, candidates: Iterable[Candidate], pays: Sequence[int], clients: NextClients) -> None:
        """Measure candidates by short windows, as long as there is time for the final; `pays` are the sizes that are
        worth it as far as is known, by which those that were measured already are told.
        """
        for candidate in candidates:
            if self.stopped:
                return
            if self._is_known(candidate, pays):
                continue
            if self.left_s < self._trial_s(self.pace) + self._reserve_s():
                self.untried += 1
                continue
            trial = Trial(candidate)
            self._measure(trial, clients, self.pace.short_s)
            # Whether batches pay is measured at each start, and may come out otherwise: what is no other than one that
            # there is would only give the noise a second chance.
            if trial.reason or (trial.short and not self._is_known(trial.candidate, trial.pays)):
                self.trials.append(trial)

    def _is_known(self, candidate: Candidate, pays: Sequence[int]) -> bool:
        """Whether a candidate behaves like one that was measured, by what either of them knows to pay."""
        return any(
            candidate.behaviour(sizes) == each.candidate.behaviour(sizes)
            for each in self.trials
            for sizes in (pays, each.pays)
        )

    def _final(self) -> None:
        """Measure what there is and the best others in turn: rounds of one order, and of the other."""
        bound = self.known_bound()
        others = [(each, each.score(bound)) for each in self.ranked() if not each.is_default]
        chosen = finalists(others, self.default.score(bound))
        while len(chosen) > 1 and rounds_within(self.left_s, self._round_s([self.default, *chosen])) < FEWEST_ROUNDS:
            chosen.pop()
        self.contenders = [self.default, *chosen]
        if not chosen:
            return
        fewest = fitting(self.pace, lambda pace: FEWEST_ROUNDS * self._round_s(self.contenders, pace), self.left_s)
        self.pace = fewest or self.pace
        for number in range(ROUNDS):
            contenders = [each for each in self.contenders if not each.reason]
            if self.stopped or len(contenders) < len(self.contenders) or self.left_s < self._round_s(contenders):
                return
            for trial in contenders if number % 2 == 0 else reversed(contenders):
                self._measure(trial, self._along(*self.contenders), self.pace.seconds, number)

    def _measure(self, trial: Trial, clients: NextClients, seconds: float, round_: int | None = None) -> None:
        """Measure a trial; one that fails is kept with the reason, one that Ctrl-C cut short is not counted."""
        name = trial.name(self.contract.runtime)
        self.show(name if round_ is None else f"round {round_ + 1}: {name}")
        try:
            with self.stand.serve(trial.candidate.flags) as started:
                curve = started.curve(seconds, clients)
        except Failed as error:
            trial.reason = str(error)
            return
        if self.stopped:
            return
        self._note(trial, started, curve, is_final=round_ is not None)

    def _note(self, trial: Trial, started: Running, curve: Curve, *, is_final: bool) -> None:
        if is_final:
            trial.rounds.append(curve)
            return
        trial.short, trial.pays, trial.load_s = curve, started.pays, started.load_s
        if not trial.is_default:
            trial.candidate = settled(trial.candidate, trial.pays, self.contract.batching)

    def _climb(self, curve: Curve) -> int | None:
        if curve and self.bound is None:
            self.bound = self.asked_bound or knee(curve[0].sample)
        return next_clients(curve, self.bound) if self.bound is not None else 1

    def _along(self, *trials: Trial) -> NextClients:
        return partial(_next_of, self._rungs(trials), self.known_bound())

    def _rungs(self, trials: Sequence[Trial]) -> tuple[int, ...]:
        lanes = max(each.candidate.batching.instances or 1 for each in trials)
        return ladder([each.short for each in trials], self.known_bound(), lanes)

    def _reserve_s(self) -> float:
        """Return the seconds that are kept for the final: what it takes at the least, until there is one to compare."""
        final_s = self._round_s([self.default])
        alone = not any(each.short for each in self.trials[1:])
        return least_s(0.0, final_s) if alone else reserve_s(self.budget_s, final_s)

    def _trial_s(self, pace: Pace) -> float:
        """Return how long a candidate is tried, about."""
        clients = [level.clients for level in self.default.short]
        return self.default.load_s + seconds_of(clients, self.default.short, pace.short_s, RAMP_S)

    def _round_s(self, contenders: Sequence[Trial], pace: Pace | None = None) -> float:
        """Return how long a round of the final takes, about."""
        rungs, seconds = self._rungs(contenders), (pace or self.pace).seconds
        return sum(each.load_s + seconds_of(rungs, each.short, seconds, RAMP_S) for each in contenders)

    def _guessed_trial_s(self, pace: Pace) -> float:
        return self._load_s + USUAL_CLIMB * (pace.short_s + RAMP_S)

    def _guessed_round_s(self, pace: Pace) -> float:
        return self._load_s + USUAL_RUNGS * (pace.seconds + RAMP_S)


def _next_of(rungs: Sequence[int], bound: Bound, curve: Curve) -> int | None:
    return next_of(rungs, curve, bound)
