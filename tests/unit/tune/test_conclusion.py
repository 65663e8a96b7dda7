from __future__ import annotations

from cli.tune.conclusion import block_for, conclude
from cli.tune.trial import Trial
from tests.unit.predictor.graphs import contract
from tests.unit.tune.made_up import P99_100, candidate, curve, trial

MACHINE = ("Some CPU", 2)


def test_the_winner_is_told_with_what_it_brings() -> None:
    default, other = trial(100, 100, 100, 100, is_default=True), trial(120, 121, 120, 119, instances=1, threads=2)

    found = conclude([default, other], [default, other], P99_100, contract())

    assert found.best is other
    assert found.is_sure
    assert found.sentence == (
        "1x2 does 120 rows/s with p99 <= 100 ms, and as it is 100: it does 20 % more in the mean of 3 rounds, where "
        "up to 5 % is noise."
    )
    block = block_for(other, default, P99_100, contract(), MACHINE)
    assert block.text == (
        "# Tuned on 2 CPUs (Some CPU): 120 rows/s with p99 <= 100 ms; before 100\nbatching:\n"
        "  max_batch_size: 8\n  instances: 1\n"
    )


def test_within_the_noise_everything_is_kept() -> None:
    default, other = trial(100, 100, 100, 100, is_default=True), trial(150, 103, 102, 103, instances=1, threads=2)

    found = conclude([default, other], [default, other], P99_100, contract())

    assert found.best is None
    assert found.is_sure
    assert found.sentence.startswith("Within the noise: keep model.yaml as it is. 1x2, the best of the others, does")


def test_what_does_less_is_not_called_noise() -> None:
    default, other = trial(100, 100, 100, 100, is_default=True), trial(90, 80, 81, 80, instances=1, threads=2)

    found = conclude([default, other], [default, other], P99_100, contract())

    assert found.sentence.startswith("Nothing does more: keep model.yaml as it is.")


def test_without_rounds_the_best_is_a_hint_only() -> None:
    default, other = trial(100, is_default=True), trial(150, 160, instances=1, threads=2)

    found = conclude([default, other], [default, other], P99_100, contract())

    assert found.best is other
    assert not found.is_sure
    assert "not compared in rounds" in found.sentence


def test_rounds_that_only_one_of_them_has_are_left_out() -> None:
    default, other = trial(100, 100, 100, 100, 1, is_default=True), trial(150, 120, 120, 120, instances=1, threads=2)

    found = conclude([default, other], [default, other], P99_100, contract())

    assert found.best is other
    assert found.comparisons[0].rounds == 3


def test_where_nothing_keeps_the_bound_that_is_said() -> None:
    slow = Trial(candidate(), is_default=True, short=curve({1: (2, 500)}))

    found = conclude([slow], [slow], P99_100, contract())

    assert found.best is None
    assert found.sentence == "Nothing keeps p99 <= 100 ms here: a lone request's median is 250 ms at best."


def test_one_that_fails_is_no_winner() -> None:
    default = trial(100, 100, 100, is_default=True)
    failed = Trial(candidate(instances=3), reason="no memory")

    found = conclude([default, failed], [default], P99_100, contract())

    assert found.best is None
    assert "nothing else came near" in found.sentence
