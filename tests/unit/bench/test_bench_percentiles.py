from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.measured import Measured, NothingMeasured, percentile, sum_up


@given(st.lists(st.floats(min_value=0, max_value=1e6), min_size=1, max_size=50), st.floats(min_value=0, max_value=100))
def test_a_percentile_is_numpys(values: list[float], percent: float) -> None:
    assert percentile(sorted(values), percent) == pytest.approx(np.percentile(values, percent))


def test_a_sample_says_rate_percentiles_and_the_cpu_time_of_each_request() -> None:
    measured = Measured(seconds=2.0, latencies_ms=(30.0, 10.0, 20.0, 40.0), cpu_seconds={"transformer": 0.02, "x": 0.1})

    sample = sum_up(measured)

    assert sample.requests == 4
    assert sample.per_second == 2.0
    assert sample.p50_ms == 25.0
    assert sample.cpu_ms == {"transformer": pytest.approx(5.0), "x": pytest.approx(25.0)}
    assert sample.cpu("transformer", "x") == pytest.approx(30.0)


def test_a_window_without_a_request_is_an_error() -> None:
    with pytest.raises(NothingMeasured, match="--seconds"):
        sum_up(Measured(seconds=0.1, latencies_ms=(), cpu_seconds={}))
