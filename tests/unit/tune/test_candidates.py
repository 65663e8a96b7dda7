from __future__ import annotations

import pytest

from cli.tune.candidates import arranged, arrangements, as_it_is, delays, name_of, settled, sizes
from predictor.settings import PredictorSettings
from serving.contract import Batching, EngineName, Precision, Runtime
from tests.unit.predictor.graphs import contract
from tests.unit.tune.made_up import candidate

PAYS = (1, 2, 4, 8, 16)


@pytest.mark.parametrize(
    ("cpus", "expected"),
    [
        (1, ((1, 1),)),
        (2, ((2, 1), (1, 2))),
        (4, ((4, 1), (2, 2), (1, 4))),
        (6, ((6, 1), (3, 2), (1, 6))),
        (16, ((16, 1), (8, 2), (4, 4), (2, 8), (1, 16))),
    ],
)
def test_lanes_and_threads_together_use_the_cpus(cpus: int, expected: tuple[tuple[int, int], ...]) -> None:
    assert arrangements("cpu", cpus) == expected


def test_a_gpu_is_tried_with_one_to_three_runs() -> None:
    assert arrangements("cuda", 16) == ((1, 1), (2, 1), (3, 1))


def test_what_there_is_says_what_the_predictor_would_choose() -> None:
    found = as_it_is(contract(batching__max_batch_size=4), "cpu", 6).batching

    assert (found.instances, found.threads, found.max_batch_size) == (3, 2, 4)


def test_the_flags_are_the_predictors() -> None:
    tried = candidate(max_batch_size=16, max_delay_ms=2.5, adaptive=False)

    settings = PredictorSettings.parse(tried.flags, "predictor")

    assert settings.batching(Batching()) == tried.batching
    assert settings.runtime(Runtime()) == tried.runtime
    assert settings.device == "cpu"


def test_each_engine_is_tried_in_each_arrangement_and_openvino_on_the_cpu() -> None:
    other = Runtime(engine=EngineName.OPENVINO, precision=Precision.BF16)
    base = as_it_is(contract(), "cuda", 2)

    tried = list(arranged(base, (base.runtime, other), 2, 64))

    assert [(each.device, each.batching.instances) for each in tried] == [
        ("cuda", 1), ("cuda", 2), ("cuda", 3), ("cpu", 2), ("cpu", 1),
    ]  # fmt: skip
    assert all(each.batching.max_batch_size == 64 for each in tried)


def test_smaller_batches_are_tried_down_to_a_quarter_of_the_largest_that_pays_and_one_row() -> None:
    tried = sizes(candidate(max_batch_size=64), PAYS)

    assert [each.batching.max_batch_size for each in tried] == [8, 4, 1]


def test_where_batches_do_not_pay_neither_sizes_nor_delays_are_tried() -> None:
    assert not list(sizes(candidate(), (1,)))
    assert not list(delays(candidate(), (1,)))
    assert not list(delays(candidate(max_batch_size=1), PAYS))


def test_other_delays_are_tried_where_batches_pay() -> None:
    tried = [(each.batching.max_delay_ms, each.batching.adaptive) for each in delays(candidate(), PAYS)]

    assert (5.0, True) not in tried
    assert tried[0] == (0.0, True)
    assert {delay for delay, adaptive in tried if not adaptive} == {2, 5, 10}


def test_a_fixed_batch_may_wait_though_its_size_is_not_chosen() -> None:
    assert not list(sizes(candidate(max_batch_size=1), (4,)))
    assert list(delays(candidate(max_batch_size=1), (4,)))


def test_sizes_and_delays_that_change_nothing_make_no_other_candidate() -> None:
    same = candidate(max_batch_size=64, max_delay_ms=0)

    assert same.behaviour((1,)) == candidate().behaviour((1,))
    assert same.behaviour((1, 2, 4)) != candidate(max_batch_size=64).behaviour((1, 2, 4))
    assert candidate(threads=2).behaviour((1,)) != candidate().behaviour((1,))


@pytest.mark.parametrize(
    ("tried", "pays", "said", "expected"),
    [(64, (1,), 8, 8), (64, (1, 2, 4), 8, 8), (64, PAYS, 8, 16), (4, PAYS, 8, 4), (64, PAYS, 32, 32)],
)
def test_the_contract_keeps_its_largest_batch_where_another_would_change_nothing(
    tried: int, pays: tuple[int, ...], said: int, expected: int
) -> None:
    found = settled(candidate(max_batch_size=tried), pays, Batching(max_batch_size=said))

    assert found.batching.max_batch_size == expected


def test_a_delay_that_nobody_waits_for_is_no_news() -> None:
    found = settled(candidate(max_delay_ms=0, adaptive=False), (1,), Batching())

    assert (found.batching.max_delay_ms, found.batching.adaptive) == (5, True)


def test_a_name_holds_what_makes_a_difference() -> None:
    assert name_of(candidate(max_batch_size=64), (1,)) == "2x1"
    assert name_of(candidate(max_batch_size=64), PAYS) == "2x1, batch 16, 5 ms"
    assert name_of(candidate(max_delay_ms=2, adaptive=False), PAYS) == "2x1, batch 8, 2 ms fixed"
