"""The objects of the charts, with all switched on, against the schemas of the API server and of earlier KServes."""

from __future__ import annotations

import pytest

from tests.cluster.charts_releases import KEDA, MODEL, PLATFORM, STORED, Values, merged, rendered, settings
from tests.cluster.cluster import Cluster
from tests.cluster.command_line import CommandLine

KSERVE = {"InferenceService", "ClusterServingRuntime"}
WATCHED: Values = {
    "networkPolicy": {
        "enabled": True,
        "from": [{"podSelector": {"matchLabels": {"app": "web"}}}],
        "egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}], "ports": [{"protocol": "TCP", "port": 9000}]}],
    },
    "monitoring": {"podMonitor": {"enabled": True, "labels": {"release": "p"}}, "rules": {"enabled": True}},
    "storage": {"secretName": "s3-credentials", "containerName": "kserve-vision-restricted"},
    "labels": {"team": "vision"},
    "annotations": {"example.com/owner": "vision"},
    "images": {
        "pullSecrets": [{"name": "registry"}],
        "pullPolicy": "Always",
        "registry": "registry.example.com/vision",
    },
    "timeoutSeconds": 30,
}
SCHEDULED: Values = {
    "scheduling": {
        "nodeSelector": {"disk": "fast"},
        "tolerations": [{"key": "gpu", "operator": "Exists"}],
        "affinity": {"podAntiAffinity": {}},
        "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "rack", "whenUnsatisfiable": "ScheduleAnyway"}],
        "priorityClassName": "high",
        "schedulerName": "own",
        "runtimeClassName": "nvidia",
    },
    "security": {"podSecurityContext": {"supplementalGroups": [7]}},
}
APART: Values = {
    "topology": "separate",
    "transformer": {
        "scheduling": {"nodeSelector": {"disk": "slow"}, "tolerations": [{"key": "spot", "operator": "Exists"}]}
    },
}
IN_STANDARD: Values = {
    "mode": "Standard",
    "deploymentStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": "50%"}},
    "cache": {"claimName": "engines"},
    "drainDelaySeconds": 20,
    "drainTimeoutSeconds": 60,
}
V2: Values = {"name": "v2", "trafficPercent": 10, "storageUri": "s3://models/2", "minReplicas": 1}
VARIANTS: dict[str, Values] = {
    "nothing but a model": {},
    "all, collocated": merged(WATCHED, SCHEDULED) | IN_STANDARD | {"canary": {"candidates": [V2]}},
    "all, separate": merged(merged(WATCHED, SCHEDULED), KEDA) | IN_STANDARD | APART,
    "all, from Google": merged(WATCHED, {"storage": {"uri": "gs://models/demo"}}),
    "all, in Knative mode": WATCHED
    | {
        "mode": "Knative",
        "topology": "separate",
        "autoscaling": {"type": "rps", "minReplicas": 0, "maxReplicas": 3},
        "canary": {"trafficPercent": 10, "tagRouting": True},
    },
    "a service monitor": {"mode": "Standard", "monitoring": {"serviceMonitor": {"enabled": True}}},
}
EARLIER: dict[str, Values] = {
    "by the old name of Standard mode": IN_STANDARD | APART | KEDA | {"mode": "RawDeployment"},
    "by the old name of Knative mode": {"mode": "Serverless", "canary": {"trafficPercent": 10}},
    "where the cluster decides": {},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_object_has_only_fields_that_there_are(cluster: Cluster, command_line: CommandLine, variant: str) -> None:
    namespace = cluster.namespace()
    for manifest in rendered(command_line, VARIANTS[variant]):
        assert cluster.apply(manifest, namespace, dry_run=True)


@pytest.mark.parametrize("mode", ["Standard", "Knative"])
def test_every_object_of_the_platform_has_only_fields_that_there_are(
    cluster: Cluster, command_line: CommandLine, mode: str
) -> None:
    values = {
        "mode": mode,
        "storageContainer": {"enabled": True, "uriFormats": [{"prefix": "s3://models/"}]},
        "scheduling": {"nodeSelector": {"a": "b"}, "gpuTolerations": [{"operator": "Exists"}]},
        "images": {"pullSecrets": [{"name": "registry"}], "pullPolicy": "Always"},
        "autoSelect": {"enabled": True},
        "policy": {"namespaceSelector": {"matchLabels": {"vision": "yes"}}, "actions": ["Warn", "Audit"]},
    }
    for manifest in rendered(command_line, values, PLATFORM):
        assert cluster.apply(manifest, dry_run=True)


@pytest.mark.parametrize("variant", EARLIER)
def test_earlier_releases_know_every_field(earlier: Cluster, command_line: CommandLine, variant: str) -> None:
    found = rendered(command_line, EARLIER[variant]) + rendered(command_line, {"mode": "Standard"}, PLATFORM)
    for manifest in found:
        if manifest["kind"] in KSERVE:
            assert earlier.apply(manifest, dry_run=True)


def test_the_linter_finds_nothing_in_the_models_chart(command_line: CommandLine) -> None:
    for values in VARIANTS.values():
        said = command_line.helm("lint", "--strict", MODEL, *settings(merged(STORED, values)))
        assert "0 chart(s) failed" in said
