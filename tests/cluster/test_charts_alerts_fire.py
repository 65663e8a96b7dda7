"""When the alerts of the model's chart fire, in Prometheus' own engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import pytest

from tests.cluster.charts_prometheus import Series, values_after_ten_minutes
from tests.cluster.charts_releases import KEDA, SCRAPED, Values, merged, one, rendered
from tests.cluster.command_line import CommandLine

POD: Final = "demo-predictor-7c9f-x2x"
OF: Final = "serving_kserve_io_inferenceservice"
PREDICTOR: Final = {
    "namespace": "default",
    "pod": POD,
    "container": "kserve-container",
    "model": "demo",
    OF: "demo",
    "component": "predictor",
}
TRANSFORMER: Final = PREDICTOR | {"container": "transformer-container"}
APART: Final = PREDICTOR | {"pod": "demo-transformer-5d-abc", "component": "transformer"}
OTHER: Final = PREDICTOR | {"pod": "demo-of-others-predictor-7c9f-x2x", OF: "demo-of-others"}
ELSEWHERE: Final = PREDICTOR | {"namespace": "others"}
LIKE_OURS: Final = PREDICTOR | {"pod": "demo-predictor-predictor-7c9f-x2x", OF: "demo-predictor"}
PROMOTED: Final = {"pod": "demo-v2-predictor-7c9f-x2x"}
GPU: Final = {key: value for key, value in PREDICTOR.items() if key != "model"} | {"device": "0", "name": "H200"}

COLLOCATED: Final[Values] = {}
SEPARATE: Final[Values] = {"topology": "separate"}
ON_GPU: Final[Values] = {"accelerator": "gpu"}
MAY_END: Final[Values] = {"mode": "Knative", "autoscaling": {"type": "rps", "minReplicas": 0, "maxReplicas": 3}}


@dataclass(frozen=True)
class Scene:
    """What is measured, and which alerts have which value then."""

    values: Values
    series: list[Series]
    fires: dict[str, float]


def _ready(labels: dict[str, str], value: float = 1) -> Series:
    return Series("kserve_vision_model_ready", labels, value)


def _answers(labels: dict[str, str], code: str, each_minute: float) -> Series:
    return Series("kserve_vision_requests_total", labels | {"code": code}, 0, each_minute)


def _load(labels: dict[str, str], value: float) -> Series:
    return Series("kserve_vision_load", labels, value)


def _memory(kind: str, value: float) -> Series:
    return Series(f"kserve_vision_device_memory_{kind}_bytes", GPU, value)


BOTH: Final = [_ready(PREDICTOR), _ready(TRANSFORMER)]
BOTH_APART: Final = [_ready(PREDICTOR), _ready(APART)]
SCENES = {
    "all is well": Scene(
        COLLOCATED,
        [*BOTH, _answers(TRANSFORMER, "OK", 100), _answers(PREDICTOR, "OK", 100), _load(PREDICTOR, 0.7)],
        {},
    ),
    "nothing has been asked yet": Scene(COLLOCATED, BOTH, {}),
    "the predictor is not ready": Scene(
        COLLOCATED,
        [_ready(PREDICTOR, 0), _ready(TRANSFORMER)],
        {"KserveVisionNotReady": 0, "KserveVisionReplicaNotReady": 0},
    ),
    "a separate transformer is not ready": Scene(
        SEPARATE,
        [_ready(PREDICTOR), _ready(APART, 0)],
        {"KserveVisionNotReady": 0, "KserveVisionReplicaNotReady": 0},
    ),
    "one of two replicas is not ready": Scene(
        COLLOCATED,
        [*BOTH, _ready(PREDICTOR | {"pod": f"{POD}2"}, 0)],
        {"KserveVisionReplicaNotReady": 0},
    ),
    "there are no pods but another model's": Scene(COLLOCATED, [_ready(OTHER)], {"KserveVisionNotReady": 0}),
    "a canary was promoted": Scene(COLLOCATED, [_ready(PREDICTOR | PROMOTED), _ready(TRANSFORMER | PROMOTED)], {}),
    "a promoted canary is not ready": Scene(
        COLLOCATED,
        [_ready(PREDICTOR | PROMOTED, 0), _ready(TRANSFORMER | PROMOTED)],
        {"KserveVisionNotReady": 0, "KserveVisionReplicaNotReady": 0},
    ),
    "another model's pods have names that begin as ours": Scene(
        COLLOCATED,
        [*BOTH, _ready(LIKE_OURS, 0), _load(LIKE_OURS, 9), _answers(LIKE_OURS, "INTERNAL", 90)],
        {},
    ),
    "a model of the same name elsewhere is not ready": Scene(
        COLLOCATED, [*BOTH, _ready(ELSEWHERE, 0), _load(ELSEWHERE, 9), _answers(ELSEWHERE, "INTERNAL", 90)], {}
    ),
    "there are no pods of a model that may end": Scene(MAY_END, [], {}),
    "a tenth of the answers are failures": Scene(
        COLLOCATED,
        [*BOTH, _answers(TRANSFORMER, "OK", 90), _answers(TRANSFORMER, "INTERNAL", 10)],
        {"KserveVisionErrors": 0.1},
    ),
    "callers send broken pictures": Scene(
        COLLOCATED, [*BOTH, _answers(TRANSFORMER, "OK", 10), _answers(TRANSFORMER, "IMAGE_CORRUPT", 90)], {}
    ),
    "a fifth of the requests are refused": Scene(
        COLLOCATED,
        [*BOTH, _answers(TRANSFORMER, "OK", 80), _answers(TRANSFORMER, "OVERLOADED", 20)],
        {"KserveVisionOverloaded": 0.2},
    ),
    "a separate transformer refuses a fifth": Scene(
        SEPARATE,
        [*BOTH_APART, _answers(APART, "OK", 80), _answers(APART, "OVERLOADED", 20), _answers(PREDICTOR, "OK", 80)],
        {"KserveVisionOverloaded": 0.2},
    ),
    "requests wait for the predictor": Scene(
        COLLOCATED, [*BOTH, _load(PREDICTOR, 2), _load(TRANSFORMER, 0.5)], {"KserveVisionBusy": 2}
    ),
    "requests wait for the decoder": Scene(
        COLLOCATED,
        [*BOTH, _load({key: value for key, value in TRANSFORMER.items() if key != "model"}, 3)],
        {"KserveVisionBusy": 3},
    ),
    "the contracts differ": Scene(
        COLLOCATED,
        [*BOTH, Series("kserve_vision_contract_mismatches_total", TRANSFORMER, 0, 1)],
        {"KserveVisionContractMismatch": 5},
    ),
    "the contracts differed once, long ago": Scene(
        COLLOCATED, [*BOTH, Series("kserve_vision_contract_mismatches_total", TRANSFORMER, 1)], {}
    ),
    "a GPU's memory is full": Scene(
        ON_GPU, [*BOTH, _memory("used", 97), _memory("total", 100)], {"KserveVisionDeviceMemory": 0.97}
    ),
    "a GPU has memory left": Scene(ON_GPU, [*BOTH, _memory("used", 50), _memory("total", 100)], {}),
}


@pytest.mark.parametrize("what", SCENES)
def test_the_alerts_that_fire(command_line: CommandLine, what: str) -> None:
    scene = SCENES[what]
    expressions = _expressions(command_line, scene.values)
    answers = values_after_ten_minutes(scene.series, list(expressions.values()))
    found = {name: [each["value"] for each in answer] for name, answer in zip(expressions, answers, strict=True)}
    fired = {name: values for name, values in found.items() if values}
    assert {name: pytest.approx([value]) for name, value in scene.fires.items()} == fired


def test_every_alert_fires_in_a_scene(command_line: CommandLine) -> None:
    fired = {name for scene in SCENES.values() for name in scene.fires}
    assert set(_expressions(command_line, ON_GPU)) == fired


def test_the_load_that_keda_asks_for_is_that_of_the_busier_server_of_each_pod(command_line: CommandLine) -> None:
    service = one(rendered(command_line, KEDA | {"mode": "Standard"}), "InferenceService")
    (metric,) = service["spec"]["predictor"]["autoScaling"]["metrics"]
    second = {"pod": f"{POD}2"}
    series = [_load(PREDICTOR, 2), _load(TRANSFORMER, 0.5), _load(PREDICTOR | second, 0.5)]
    series += [_load(OTHER, 9), _load(LIKE_OURS, 9), _load(ELSEWHERE, 9)]
    ((answer,),) = values_after_ten_minutes(series, [metric["external"]["metric"]["query"]])
    assert answer == {"labels": {}, "value": 2.5}


def _expressions(command_line: CommandLine, values: Values) -> dict[str, str]:
    rules = merged(SCRAPED, {"monitoring": {"rules": {"enabled": True}}})
    groups: list[dict[str, Any]] = one(rendered(command_line, merged(rules, values)), "PrometheusRule")["spec"][
        "groups"
    ]
    return {each["alert"]: each["expr"] for group in groups for each in group["rules"]}
