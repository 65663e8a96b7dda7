from __future__ import annotations

import pytest

from predictor.batching.costs import DISPATCH_S, RECOVERY_S, Costs


@pytest.mark.parametrize(
    ("milliseconds", "best"),
    [
        ({1: 5.0, 2: 10.0, 4: 20.0}, 1),  # a CPU: eight rows take eight times as long
        ({1: 5.0, 2: 9.8, 4: 19.2}, 1),  # four per cent are not worth the wait
        ({1: 1.0, 2: 1.1, 4: 1.3, 8: 2.0, 16: 4.1}, 8),  # a GPU, until it is full
        ({1: 1.0, 2: 2.0, 4: 2.0}, 4),  # the second size does not pay, the third does
        ({4: 3.0}, 4),  # a graph whose batch is fixed
    ],
)
def test_the_sizes_are_those_that_pay(milliseconds: dict[int, float], best: int) -> None:
    costs = Costs({size: value / 1000 for size, value in milliseconds.items()})

    assert costs.best == best
    assert costs.sizes(0.0) == tuple(size for size in milliseconds if size <= best)


def test_a_tiny_model_is_batched_for_what_its_dispatch_costs() -> None:
    assert Costs({1: 10e-6, 2: 20e-6, 4: 40e-6, 8: 80e-6}).best == 8


def test_all_sizes_slow_down_and_recover_together() -> None:
    costs = Costs({1: 0.010 - DISPATCH_S, 2: 0.012 - DISPATCH_S})

    for _ in range(100):
        costs.note(1, 0.020 - DISPATCH_S)
    assert costs.of(2) == pytest.approx(0.024, rel=0.01)
    for _ in range(100):
        costs.note(2, 0.012 - DISPATCH_S)
    assert costs.of(1) == pytest.approx(0.010, rel=0.01)


def test_the_fastest_run_is_remembered_and_slowly_forgotten() -> None:
    costs = Costs({1: 0.010 - DISPATCH_S})

    costs.note(1, 0.008 - DISPATCH_S)
    costs.note(1, 0.100)
    assert costs.at_best(1) == pytest.approx(0.008, rel=0.02)
    for _ in range(100):
        costs.note(1, 0.010 - DISPATCH_S)
    assert costs.at_best(1) == pytest.approx(0.010)


def test_a_run_of_a_size_that_was_never_measured_teaches_nothing() -> None:
    costs = Costs({1: 0.010})

    costs.note(3, 99.0)

    assert costs.of(1) == 0.010 + DISPATCH_S


def test_a_size_without_memory_is_shunned_with_all_larger_ones_for_a_while() -> None:
    costs = Costs({1: 0.001, 2: 0.001, 4: 0.001, 8: 0.001})

    costs.shun(4, now=10.0)

    assert costs.sizes(10.0) == (1, 2)
    assert costs.sizes(10.0 + RECOVERY_S) == (1, 2, 4, 8)


def test_the_smallest_size_is_never_shunned() -> None:
    costs = Costs({4: 0.001})

    costs.shun(4, now=10.0)

    assert costs.sizes(10.0) == (4,)
