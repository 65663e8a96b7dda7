"""What a search comes to, in a sentence and in YAML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cli.bench.tables import digits
from cli.tune.block import Block, block_of
from cli.tune.score import Bound
from cli.tune.trial import Trial
from cli.tune.verdict import FEWEST_ROUNDS, Comparison, compare, winner
from load.search import PRECISION
from serving.contract import Contract


@dataclass(frozen=True, slots=True)
class Conclusion:
    """Who won, and how it is told."""

    sentence: str
    best: Trial | None = None
    """None where what there is should be kept."""
    is_sure: bool = False
    """Whether it was compared in rounds; short windows alone are only a hint."""
    comparisons: tuple[Comparison, ...] = ()
    """Of the finalists, in their order."""


def conclude(trials: Sequence[Trial], contenders: Sequence[Trial], bound: Bound, contract: Contract) -> Conclusion:
    """Conclude; of the trials and of the contenders, the first is what there is."""
    default, scores = trials[0], [each.score(bound) for each in trials]
    if not any(scores):
        alone = min(figures.alone_p50_ms for each in trials if (figures := each.figures(bound)))
        return Conclusion(f"Nothing keeps {bound} here: a lone request's median is {digits(alone)} ms at best.")
    finalists = [each for each in contenders[1:] if each.rounds]
    rounds = min((len(each.rounds) for each in (default, *finalists)), default=0)
    if not finalists or rounds < FEWEST_ROUNDS:
        return _by_short_windows(trials, contenders, bound, contract)
    before = default.scores(bound)[:rounds]
    comparisons = tuple(compare(before, each.scores(bound)[:rounds]) for each in finalists)
    place = winner(comparisons)
    if place is None:
        best = max(range(len(finalists)), key=lambda index: finalists[index].score(bound))
        told = _told(comparisons[best])
        name = finalists[best].name(contract.runtime)
        verdict = "Nothing does more" if (comparisons[best].gain or 0.0) < 0 else "Within the noise"
        return Conclusion(
            f"{verdict}: keep model.yaml as it is. {name}, the best of the others, {told}.",
            is_sure=True,
            comparisons=comparisons,
        )
    best_trial = finalists[place]
    return Conclusion(
        f"{best_trial.name(contract.runtime)} does {digits(best_trial.score(bound))} rows/s with {bound}, and as it is "
        f"{digits(default.score(bound))}: it {_told(comparisons[place])}.",
        best_trial,
        is_sure=True,
        comparisons=comparisons,
    )


def block_for(trial: Trial, default: Trial, bound: Bound, contract: Contract, machine: tuple[str, int]) -> Block:
    """Return a trial's sections, under a comment that says what they were measured with, and what they bring; `machine`
    is the CPU's name, and how many there are.
    """
    cpu, cpus = machine
    device = "" if trial.candidate.device == "cpu" else f"{trial.candidate.device} and "
    comment = (
        f"{device}{cpus} CPU{'s' if cpus > 1 else ''} ({cpu}): "
        f"{digits(trial.score(bound))} rows/s with {bound}; before {digits(default.score(bound))}"
    )
    return block_of(trial.candidate, contract.runtime, cpus, comment)


def _by_short_windows(
    trials: Sequence[Trial], contenders: Sequence[Trial], bound: Bound, contract: Contract
) -> Conclusion:
    """Say what the short windows hint at, where there was nothing to compare or no time for it."""
    default = trials[0]
    best = max(trials, key=lambda each: each.score(bound))
    if len(trials) == 1:
        return Conclusion("Keep model.yaml as it is: no other candidate was measured.")
    if best is default or best.score(bound) <= (1 + PRECISION) * default.score(bound):
        beaten = not contenders[1:]
        return Conclusion("Keep model.yaml as it is: nothing else came near." if beaten else _UNDECIDED)
    return Conclusion(
        f"{best.name(contract.runtime)} did {digits(best.score(bound))} rows/s with {bound} in short windows, "
        f"and as it is {digits(default.score(bound))}. It was not compared in rounds, which a longer --budget allows.",
        best,
    )


_UNDECIDED = "Keep model.yaml as it is: in short windows nothing did more, and there was no time for longer ones."


def _told(comparison: Comparison) -> str:
    if comparison.gain is None:
        return "keeps the bound, which what there is does not in every round"
    gain, noise = 100 * comparison.gain, 100 * comparison.noise
    much = f"{abs(gain):.0f} % {'more' if gain >= 0 else 'less'}"
    return f"does {much} in the mean of {comparison.rounds} rounds, where up to {noise:.0f} % is noise"
