from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import bench
from bench.figures import FIGURES, Goal
from bench.measured import Endurance, FirstRequest
from bench.report import OTHER_KEYS, to_json, to_markdown
from bench.rounds import Round
from bench.run import Plan
from load.machine import describe_machine
from load.sample import Percentiles, Sample

VALUES = {figure.key: figure for figure in FIGURES}


def latency(p99_ms: float = 3.0) -> Percentiles:
    return Percentiles(p50_ms=1.0, p90_ms=2.0, p95_ms=2.5, p99_ms=p99_ms, p999_ms=p99_ms, max_ms=p99_ms)


def sample(cpu_ms: float, per_second: float = 100.0, **other: Any) -> Sample:
    processes = ("limit", "transformer", "predictor", "bare", "generator")
    return Sample(
        requests=other.pop("requests", 10),
        per_second=per_second,
        cpu_ms=dict.fromkeys(processes, cpu_ms),
        sent_bytes=150.0,
        answer_bytes=40.0,
        **{"latency": latency(), **other},
    )


def round_of(**samples: Sample) -> Round:
    return Round(samples=samples)


def test_each_key_is_there_once() -> None:
    keys = [*(figure.key for figure in FIGURES), *OTHER_KEYS]

    assert len(keys) == len(set(keys))


def test_a_figure_is_the_median_of_its_rounds() -> None:
    rounds = [round_of(predict_8=sample(1.0, rate)) for rate in (90.0, 10.0, 100.0)]

    assert VALUES["predict_8_per_second"].value(rounds) == 90.0


def test_a_ratio_is_made_within_each_round() -> None:
    """A machine that is twice as slow for one round changes both halves of that round's ratio."""
    rounds = [
        round_of(predictor_grpc=sample(slow * 5.5), limit_run_wide=sample(slow * 5.0), limit_run_deep=sample(slow * 6))
        for slow in (1.0, 2.0, 1.0, 3.0)
    ]

    assert VALUES["predictor_grpc_cpu_ratio"].in_rounds(rounds) == pytest.approx([1.1] * 4)


def test_the_limit_is_the_best_configuration() -> None:
    rounds = [round_of(limit_whole_wide=sample(8.0, 240.0), limit_whole_deep=sample(9.0, 160.0))]

    assert VALUES["limit_cpu_ms"].value(rounds) == 8.0
    assert VALUES["limit_per_second"].value(rounds) == 240.0


def test_the_served_cpu_time_is_that_of_both_servers_and_not_of_the_generator() -> None:
    assert VALUES["predict_8_cpu_ms"].value([round_of(predict_8=sample(3.0))]) == 6.0


def test_a_figure_that_was_not_measured_has_no_value() -> None:
    assert VALUES["predict_32_p50_ms"].value([round_of(predict_8=sample(1.0))]) is None
    assert VALUES["first_request_ratio"].value([round_of()]) is None


def test_the_first_request_is_held_against_those_after_it() -> None:
    rounds = [Round(first_request=FirstRequest(first_ms=15.0, steady_ms=10.0))]

    assert VALUES["first_request_ratio"].value(rounds) == 1.5


def test_overload_is_held_against_the_saturation_of_its_round() -> None:
    overload = sample(1.0, 135.0, refused=30, kinds={"200": 10, "429 OVERLOADED": 20, "503": 10}, latency=latency(9.0))
    rounds = [round_of(predict_32=sample(1.0, 150.0), overload=overload)]

    assert VALUES["overload_throughput_ratio"].value(rounds) == pytest.approx(0.9)
    assert VALUES["overload_refused_share"].value(rounds) == 0.75
    assert VALUES["overload_honest_share"].value(rounds) == 0.75
    assert VALUES["overload_p99_ratio"].value(rounds) == 3.0


def test_overload_that_nothing_answered_has_no_latency_and_is_no_error() -> None:
    rounds = [round_of(overload=sample(0.0, 0.0, requests=0, refused=5, kinds={"503": 5}, latency=None))]

    assert VALUES["overload_p99_ms"].value(rounds) is None
    assert VALUES["overload_honest_share"].value(rounds) == 0.0


def test_memory_is_of_both_servers_and_its_growth_of_the_second_half() -> None:
    endured = Endurance(
        requests=10_000,
        half_peak_bytes={"transformer": 100_000_000, "predictor": 200_000_000},
        peak_bytes={"transformer": 110_000_000, "predictor": 220_000_000},
        health={"transformer": latency(15.0), "predictor": latency(5.0)},
    )
    rounds = [Round(), Round(endurance=endured)]

    assert VALUES["memory_mb"].value(rounds) == 330.0
    assert VALUES["memory_growth"].value(rounds) == pytest.approx(1.1)
    assert VALUES["health_transformer_p99_ms"].value(rounds) == 15.0


def test_a_goal_is_a_bound_that_may_be_reached() -> None:
    assert Goal("at most", 1.1).met(1.1)
    assert not Goal("at most", 1.1).met(1.11)
    assert Goal("at least", 0.85).met(0.85)
    assert not Goal("at least", 0.85).met(0.84)


def test_the_json_is_one_object_with_the_documented_keys() -> None:
    report = json.loads(to_json(Plan(), describe_machine(), [round_of(predict_8=sample(1.0))]))

    assert set(report) == {figure.key for figure in FIGURES} | set(OTHER_KEYS)
    assert report["predict_8_p99_ms"] == 3.0
    assert report["per_round"]["predict_8_p99_ms"] == [3.0]
    assert report["predict_1_p99_ms"] is None


def test_the_readme_documents_the_figures_as_the_code_does() -> None:
    readme = (Path(bench.__file__).parent / "README.md").read_text(encoding="utf-8")

    assert readme.endswith(to_markdown()), "run: python -m bench --explain, and put it at the end of bench/README.md"
