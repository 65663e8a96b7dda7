from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from load.measured import Measured, Probed, Sending
from load.sample import NothingMeasured, percentile, sum_up


@given(st.lists(st.floats(min_value=0, max_value=1e6), min_size=1, max_size=50), st.floats(min_value=0, max_value=100))
def test_a_percentile_is_numpys(values: list[float], percent: float) -> None:
    assert percentile(sorted(values), percent) == pytest.approx(np.percentile(values, percent))


def test_a_sample_says_rate_percentiles_and_the_cpu_time_of_each_answer() -> None:
    measured = Measured(seconds=2.0, latencies_ms=(30.0, 10.0, 20.0, 40.0), cpu_seconds={"transformer": 0.02, "x": 0.1})

    sample = sum_up(measured)

    assert sample.requests == 4
    assert sample.per_second == 2.0
    assert sample.answered.p50_ms == 25.0
    assert sample.answered.max_ms == 40.0
    assert sample.cpu_ms == {"transformer": pytest.approx(5.0), "x": pytest.approx(25.0)}
    assert sample.cpu("transformer", "x") == pytest.approx(30.0)


def test_refusals_are_in_the_latency_of_all_and_in_no_other() -> None:
    sample = sum_up(Measured(seconds=1.0, latencies_ms=(10.0,), refused_ms=(1.0, 1.0), cpu_seconds={}))

    assert sample.answered.p50_ms == 10.0
    assert sample.latency_of_all is not None
    assert sample.latency_of_all.p50_ms == 1.0
    assert (sample.requests, sample.refused) == (1, 2)
    assert sample.per_second == 1.0


def test_answers_after_the_window_are_no_throughput() -> None:
    sending = Sending(due=4)
    measured = Measured(
        seconds=1.0, latencies_ms=(1.0, 2.0, 3.0, 4.0), in_window=1, cpu_seconds={"x": 0.01}, sending=sending
    )

    sample = sum_up(measured)

    assert sample.per_second == 1.0
    assert sample.achieved == 0.25
    assert sample.cpu_ms == {"x": pytest.approx(10.0)}


def test_a_window_without_an_answer_has_no_latency() -> None:
    sample = sum_up(Measured(seconds=1.0, latencies_ms=(), refused_ms=(5.0,), cpu_seconds={"x": 1.0}))

    assert sample.latency is None
    assert sample.cpu_ms == {}
    with pytest.raises(NothingMeasured):
        _ = sample.answered


def test_lateness_says_whether_the_generator_or_the_bound_is_to_blame() -> None:
    def late(crowded: int) -> bool:
        sending = Sending(due=10, late_ms=(5.0, 9.0), crowded=crowded, unsent=2)
        lateness = sum_up(Measured(seconds=1, latencies_ms=(1.0,), cpu_seconds={}, sending=sending)).lateness
        assert lateness is not None
        assert lateness.share == pytest.approx(0.4)
        assert lateness.worst_ms == 9.0
        return lateness.is_crowded

    assert late(4)
    assert not late(0)


def test_the_health_of_each_server_is_summed_up() -> None:
    probed = {"predictor": Probed(latencies_ms=(1.0, 3.0)), "silent": Probed(latencies_ms=())}
    sample = sum_up(Measured(seconds=1, latencies_ms=(1.0,), cpu_seconds={}, probed=probed))

    assert set(sample.health) == {"predictor"}
    assert sample.health["predictor"].p50_ms == 2.0
