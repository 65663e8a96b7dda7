"""Who may reach a model's pods, and whom they reach, as the chart's NetworkPolicy says."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cluster.charts_releases import Values, merged, one, rendered
from tests.cluster.command_line import CommandLine
from tests.cluster.manifests import Manifest

ON: Values = {"networkPolicy": {"enabled": True}}
GATEWAY = {"Standard": {8080, 8081}, "Knative": {8012, 8013, 8112, 9090}}
SEPARATE: Values = {"topology": "separate"}


def _policy(command_line: CommandLine, values: Values) -> Manifest:
    spec: Manifest = one(rendered(command_line, merged(ON, values)), "NetworkPolicy")["spec"]
    return spec


def _ports(rule: dict[str, Any]) -> set[int]:
    return {each["port"] for each in rule["ports"]}


def _namespaces(rule: dict[str, Any], side: str) -> set[str]:
    return {
        name
        for peer in rule[side]
        if "namespaceSelector" in peer
        for expression in peer["namespaceSelector"]["matchExpressions"]
        for name in expression["values"]
    }


def _addresses(rules: list[dict[str, Any]]) -> dict[str, set[int]]:
    """The addresses that rules name, and the ports there."""
    return {
        peer["ipBlock"]["cidr"]: _ports(rule) for rule in rules for peer in rule.get("to") or () if "ipBlock" in peer
    }


@pytest.mark.parametrize("mode", ["Standard", "Knative"])
def test_the_gateway_reaches_the_ports_of_the_mode(command_line: CommandLine, mode: str) -> None:
    requests, _metrics = _policy(command_line, {"mode": mode})["ingress"]
    assert _ports(requests) == GATEWAY[mode]
    assert "istio-system" in _namespaces(requests, "from")


def test_where_the_cluster_decides_the_ports_of_both_modes_are_open(command_line: CommandLine) -> None:
    requests, _metrics = _policy(command_line, {})["ingress"]
    assert _ports(requests) == GATEWAY["Standard"] | GATEWAY["Knative"]


def test_the_monitoring_reaches_the_metrics_alone(command_line: CommandLine) -> None:
    _requests, metrics = _policy(command_line, {"networkPolicy": {"monitoringNamespaces": ["watch"]}})["ingress"]
    assert (_namespaces(metrics, "from"), _ports(metrics)) == ({"watch"}, {8080, 8090})


def test_who_is_named_may_ask(command_line: CommandLine) -> None:
    web = {"podSelector": {"matchLabels": {"app": "web"}}}
    requests, _metrics = _policy(command_line, {"networkPolicy": {"from": [web]}})["ingress"]
    assert web in requests["from"]


def test_the_pods_reach_dns_and_the_store(command_line: CommandLine) -> None:
    block = {"ipBlock": {"cidr": "10.1.0.0/16"}}
    dns, store, *_ = _policy(command_line, {"networkPolicy": {"storage": [block], "storagePorts": [9000]}})["egress"]
    assert (_namespaces(dns, "to"), _ports(dns)) == ({"kube-system", "openshift-dns"}, {53, 5353})
    assert (store["to"], _ports(store)) == ([block], {9000})


def test_dns_on_the_node_has_an_address_that_no_selector_matches(command_line: CommandLine) -> None:
    dns, *_ = _policy(command_line, {})["egress"]
    assert "169.254.20.10/32" in _addresses([dns])
    without = _policy(command_line, {"networkPolicy": {"dnsNamespaces": []}})["egress"]
    assert "169.254.20.10/32" not in _addresses(without)


@pytest.mark.parametrize(
    ("uri", "reached"),
    [
        ("gs://models/demo", {"169.254.169.252/32": {988}, "169.254.169.254/32": {80}}),
        ("s3://models/demo", {"169.254.170.23/32": {80}}),
        ("https://models.example.com/demo", {}),
        ("pvc://models/demo", {}),
    ],
)
def test_who_gives_the_pods_their_identity_is_reached(
    command_line: CommandLine, uri: str, reached: dict[str, set[int]]
) -> None:
    here: Values = {"networkPolicy": {"dnsNamespaces": []}}
    assert _addresses(_policy(command_line, here | {"storage": {"uri": uri}})["egress"]) == reached
    candidate = {"name": "v2", "trafficPercent": 10, "storageUri": uri}
    beside = {"mode": "Standard", "canary": {"candidates": [candidate]}, "storage": {"uri": "hf://a/b"}}
    assert _addresses(_policy(command_line, here | beside)["egress"]) == reached


def test_further_rules_stand_beside_those_of_the_chart(command_line: CommandLine) -> None:
    rule = {"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}], "ports": [{"protocol": "TCP", "port": 9000}]}
    usual = _policy(command_line, {})["egress"]
    assert _policy(command_line, {"networkPolicy": {"egress": [rule]}})["egress"] == [*usual, rule]


def test_a_gateway_of_kserves_own_may_ask(command_line: CommandLine) -> None:
    requests, _metrics = _policy(command_line, {})["ingress"]
    assert {"kserve", "kourier-system", "openshift-ingress"} <= _namespaces(requests, "from")


@pytest.mark.parametrize("mode", ["Standard", "Knative"])
@pytest.mark.parametrize("names", ["gatewayNamespaces", "dnsNamespaces", "monitoringNamespaces"])
def test_no_namespaces_are_no_peers(command_line: CommandLine, names: str, mode: str) -> None:
    """An expression without values is refused by the API server, and a peer without an expression is everybody."""
    policy = _policy(command_line, SEPARATE | {"mode": mode, "networkPolicy": {names: []}})
    peers = [
        each["namespaceSelector"]
        for side, rules in (("from", policy["ingress"]), ("to", policy["egress"]))
        for rule in rules
        for each in rule.get(side) or ()
        if "namespaceSelector" in each
    ]
    assert peers
    assert all(expression["values"] for peer in peers for expression in peer["matchExpressions"])
    usual = _policy(command_line, SEPARATE | {"mode": mode})
    assert len(str(policy)) < len(str(usual))


@pytest.mark.parametrize(("mode", "through"), [("Standard", set()), ("Knative", {"istio-system", "knative-serving"})])
def test_a_separate_transformer_reaches_its_predictor(command_line: CommandLine, mode: str, through: set[str]) -> None:
    *_, predictor = _policy(command_line, SEPARATE | {"mode": mode})["egress"]
    assert {"podSelector": {"matchLabels": {"serving.kserve.io/inferenceservice": "demo"}}} in predictor["to"]
    assert through <= _namespaces(predictor, "to")
    assert bool(through) == bool(_namespaces(predictor, "to"))
