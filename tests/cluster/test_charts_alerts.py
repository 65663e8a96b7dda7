"""The alerts of the model's chart: they ask for metrics, labels and codes that our servers have, and say what to do."""

from __future__ import annotations

import http
import re
from typing import Any

import pytest

from predictor.metrics import PredictorMetrics
from predictor.nvml import _FAMILIES, LABELS
from serving import errors
from tests.cluster.charts_releases import Values, merged, one, rendered
from tests.cluster.command_line import CommandLine

ON: Values = {"monitoring": {"podMonitor": {"enabled": True}, "rules": {"enabled": True}}}
VARIANTS: dict[str, Values] = {
    "collocated": {},
    "separate": {"topology": "separate"},
    "on a GPU": {"accelerator": "gpu"},
    "that ends when it is idle": {
        "mode": "Knative",
        "autoscaling": {"type": "rps", "minReplicas": 0, "maxReplicas": 3},
    },
    "with a candidate": {
        "mode": "Standard",
        "canary": {"candidates": [{"name": "v2", "trafficPercent": 10, "storageUri": "s3://models/2"}]},
    },
}
OF_EVERY_TARGET = {"namespace", "pod", "container", "serving_kserve_io_inferenceservice", "component"}
METRIC = re.compile(r"(kserve_vision_\w+)\{([^}]*)\}")
LABEL = re.compile(r"(\w+)=~?\"([^\"]*)\"")


def _rules(command_line: CommandLine, variant: str) -> list[dict[str, Any]]:
    rule = one(rendered(command_line, merged(ON, VARIANTS[variant])), "PrometheusRule")
    (group,) = rule["spec"]["groups"]
    rules: list[dict[str, Any]] = group["rules"]
    return rules


def _expressions(command_line: CommandLine, variant: str) -> dict[str, str]:
    return {each["alert"]: each["expr"] for each in _rules(command_line, variant)}


def _known() -> dict[str, set[str]]:
    """The labels of all metrics, by the names that Prometheus sees."""
    metrics = PredictorMetrics()
    known = {each.name: set(LABELS) for each in _FAMILIES}
    for collector in vars(metrics).values():
        for metric in collector.describe() if hasattr(collector, "describe") else ():
            name = f"{metric.name}_total" if metric.type == "counter" else metric.name
            known[name] = set(collector._labelnames)
    return known


def _failures(kind: type[errors.ServingError] = errors.ServingError) -> set[str]:
    """The codes that are answered with HTTP's 5xx."""
    found = {kind.code} if "code" in vars(kind) and kind.http_status >= http.HTTPStatus.INTERNAL_SERVER_ERROR else set()
    return found.union(*(_failures(child) for child in kind.__subclasses__()))


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_metric_and_label_is_one_of_ours(command_line: CommandLine, variant: str) -> None:
    known = _known()
    for expression in _expressions(command_line, variant).values():
        found = METRIC.findall(expression)
        assert found
        for name, selector in found:
            assert {label for label, _ in LABEL.findall(selector)} <= known[name] | OF_EVERY_TARGET


def test_the_failures_are_those_that_are_answered_with_5xx(command_line: CommandLine) -> None:
    expression = _expressions(command_line, "collocated")["KserveVisionErrors"]
    (codes,) = re.findall(r'code=~"([^"]*)"', expression)
    assert set(codes.split("|")) == _failures()


def test_overload_is_an_error_code() -> None:
    assert errors.Overloaded.code == "OVERLOADED"


@pytest.mark.parametrize("variant", VARIANTS)
def test_an_expression_asks_for_the_pods_of_this_model_by_their_labels(command_line: CommandLine, variant: str) -> None:
    """Names of pods change with a promotion, and begin as those of other models do."""
    monitor = one(rendered(command_line, merged(ON, VARIANTS[variant])), "PodMonitor")["spec"]
    given = {re.sub(r"[^a-zA-Z0-9_]", "_", each): each for each in monitor["podTargetLabels"]}
    for expression in _expressions(command_line, variant).values():
        for _, selector in METRIC.findall(expression):
            asked = dict(LABEL.findall(selector))
            assert "pod" not in asked
            of_pods = {given[label]: value for label, value in asked.items() if label in given}
            assert of_pods.pop("component", "predictor") in {"predictor", "transformer"}
            assert of_pods == monitor["selector"]["matchLabels"] == {"serving.kserve.io/inferenceservice": "demo"}


def test_a_service_monitor_gives_the_same_labels(command_line: CommandLine) -> None:
    values = {"mode": "Standard", "monitoring": {"serviceMonitor": {"enabled": True}}}
    by_services = one(rendered(command_line, values), "ServiceMonitor")["spec"]["podTargetLabels"]
    by_pods = one(rendered(command_line, ON), "PodMonitor")["spec"]["podTargetLabels"]
    assert by_services == by_pods


def test_a_model_that_is_gone_is_noticed_unless_it_may_end(command_line: CommandLine) -> None:
    assert "vector(0)" in _expressions(command_line, "collocated")["KserveVisionNotReady"]
    assert "vector(0)" not in _expressions(command_line, "that ends when it is idle")["KserveVisionNotReady"]


def test_a_gpus_memory_is_watched_where_there_is_one(command_line: CommandLine) -> None:
    assert "KserveVisionDeviceMemory" in _expressions(command_line, "on a GPU")
    assert "KserveVisionDeviceMemory" not in _expressions(command_line, "collocated")


def test_every_alert_says_what_to_do(command_line: CommandLine) -> None:
    rules = _rules(command_line, "on a GPU")
    assert len({each["alert"] for each in rules}) == len(rules) == 7
    for rule in rules:
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert rule["labels"]["model"] == "demo"
        assert rule["annotations"]["summary"].endswith(".")
        assert rule["annotations"]["runbook"].endswith((".", ").", "`."))
        assert rule["for"]


def test_alerts_carry_the_labels_that_route_them(command_line: CommandLine) -> None:
    values = merged(ON, {"monitoring": {"rules": {"alertLabels": {"team": "vision"}, "labels": {"release": "p"}}}})
    rule = one(rendered(command_line, values), "PrometheusRule")
    assert rule["metadata"]["labels"]["release"] == "p"
    assert {each["labels"]["team"] for group in rule["spec"]["groups"] for each in group["rules"]} == {"vision"}


def test_the_pod_monitor_asks_each_container_where_it_answers(command_line: CommandLine) -> None:
    """The collocated predictor's port is in no pod's list of ports; a port number would not be found there."""
    asked = {
        variant: _targets(one(rendered(command_line, merged(ON, VARIANTS[variant])), "PodMonitor"))
        for variant in ("collocated", "separate")
    }
    assert asked == {
        "collocated": {"kserve-container": "10.0.0.1:8090", "transformer-container": "10.0.0.1:8080"},
        "separate": {"kserve-container": "10.0.0.1:8080"},
    }


def _targets(monitor: dict[str, Any], address: str = "10.0.0.1") -> dict[str, str]:
    """The address that is asked for each container, as Prometheus' relabelling has it."""
    found = {}
    for endpoint in monitor["spec"]["podMetricsEndpoints"]:
        keep, *replacements = endpoint["relabelings"]
        assert keep["sourceLabels"] == ["__meta_kubernetes_pod_container_name"]
        (fits,) = [each for each in replacements if re.fullmatch(each["regex"], address)]
        found[keep["regex"]] = re.sub(fits["regex"], fits["replacement"].replace("$1", r"\1"), address)
    return found
