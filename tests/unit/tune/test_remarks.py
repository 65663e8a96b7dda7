from __future__ import annotations

from dataclasses import replace

from cli.tune.remarks import remarks
from cli.tune.score import Level
from cli.tune.trial import Trial
from serving.contract import EngineName, Runtime
from tests.unit.tune.made_up import P99_100, candidate, sample, trial


def test_figures_that_mean_what_they_say_need_no_remark() -> None:
    assert not list(remarks([trial(100, 100)], P99_100, Runtime(), None))


def test_a_generator_that_is_busy_is_said() -> None:
    busy = sample(5000, 1, cpu_ms={"predictor": 1.0, "generator": 0.19})
    found = remarks([Trial(candidate(), short=(Level(clients=1, sample=busy),))], P99_100, Runtime(), None)

    assert "load generator was busy" in next(found)


def test_a_percentile_of_few_answers_is_said() -> None:
    few = Trial(candidate(), short=(Level(clients=1, sample=sample(5, 200, requests=7)),))

    assert "Some windows had 7 answers" in next(remarks([few], P99_100, Runtime(), None))
    assert not list(remarks([few], P99_100.model_copy(update={"percentile": "p50"}), Runtime(), None))


def test_another_engine_that_won_has_other_answers() -> None:
    other = trial(100)
    other.candidate = replace(other.candidate, runtime=Runtime(engine=EngineName.OPENVINO))

    assert list(remarks([other], P99_100, Runtime(), other)) == [
        "openvino:fp32 gives other digits: compare its answers on your own pictures."
    ]
