"""Which values of the model's chart are refused before anything is sent, and in which words."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from predictor.settings import PredictorSettings
from tests.cluster.charts_releases import KEDA, SCRAPED, Values, merged, one, rendered
from tests.cluster.command_line import CommandFailed, CommandLine

STANDARD: Values = {"mode": "Standard"}
KNATIVE: Values = {"mode": "Knative"}
SEPARATE: Values = {"topology": "separate"}
V2: Values = {"name": "v2", "trafficPercent": 10, "storageUri": "s3://models/2"}


def _candidate(**fields: object) -> Values:
    return STANDARD | {"canary": {"candidates": [V2 | fields]}}


@dataclass(frozen=True)
class Bad:
    """Values, and a part of what is said of them."""

    values: Values
    says: str


REFUSED = {
    # Names.
    "a name with a capital": Bad({"name": "Demo"}, 'the name is "Demo": an InferenceService\'s begins with a letter'),
    "a name that begins with a digit": Bad({"name": "1st"}, 'the name is "1st"'),
    "a name that is too long for a host": Bad(
        STANDARD | {"name": "d" * 46}, "-predictor-default of it, which has 64 characters"
    ),
    "a name that is too long with a transformer": Bad(
        SEPARATE | {"name": "d" * 44}, "-transformer-default of it, which has 64 characters"
    ),
    "a name that is too long for Knative": Bad(
        KNATIVE | {"name": "d" * 54}, "-predictor of it, which has 64 characters, and a label"
    ),
    "a name that is too long for a tag": Bad(
        KNATIVE | {"name": "d" * 47, "canary": {"tagRouting": True}}, f"KServe makes latest-{'d' * 47}-predictor of it"
    ),
    "a candidate's name that is too long": Bad(
        _candidate(name="d" * 41), 'the name of the candidate "ddddddddddddddddddddddddddddddddddddddddd" is too long'
    ),
    # The model.
    "no model": Bad({"storage": {"uri": ""}}, "there is no model: set storage.uri, or storage.key and storage.path"),
    "a model without a scheme": Bad({"storage": {"uri": "models/demo"}}, "at '/storage/uri'"),
    "two places": Bad({"storage": {"key": "k", "path": "p"}}, "storage.uri and storage.path both say where"),
    "parameters of no store": Bad({"storage": {"parameters": {"bucket": "b"}}}, "set storage.key to its name"),
    "a storage key that is not read": Bad(
        {"storage": {"key": "k", "uri": "gs://models/demo"}}, "for s3://, hdfs:// and webhdfs:// alone"
    ),
    "a storage key for a separate transformer": Bad(
        SEPARATE | {"storage": {"key": "k"}}, "KServe gives a storage key to the predictor alone"
    ),
    "two accounts": Bad({"storage": {"secretName": "a", "serviceAccountName": "b"}}, "set one of them"),
    # Canaries.
    "a percentage in Standard mode": Bad(
        STANDARD | {"canary": {"trafficPercent": 10}},
        "KServe ignores canaryTrafficPercent there, and would replace all",
    ),
    "a percentage in the old name of Standard mode": Bad(
        {"mode": "RawDeployment", "canary": {"trafficPercent": 10}}, "KServe ignores canaryTrafficPercent there"
    ),
    "a percentage where the cluster decides": Bad({"canary": {"trafficPercent": 0}}, "Set mode: Knative"),
    "more than all": Bad(KNATIVE | {"canary": {"trafficPercent": 150}}, "is 150: a share of the traffic is 0 to 100"),
    "less than nothing": Bad(KNATIVE | {"canary": {"trafficPercent": -5}}, "is -5: a share of the traffic is 0 to 100"),
    "half a percent": Bad(KNATIVE | {"canary": {"trafficPercent": 10.5}}, "at '/canary/trafficPercent'"),
    "a percentage in quotes": Bad(KNATIVE | {"canary": {"trafficPercent": "10"}}, "got string, want null or integer"),
    "tags without Knative": Bad(
        STANDARD | {"canary": {"tagRouting": True}}, "canary.tagRouting is of Knative's routes"
    ),
    "candidates in Knative mode": Bad(KNATIVE | {"canary": {"candidates": [V2]}}, "is for Standard mode"),
    "candidates where the cluster decides": Bad({"canary": {"candidates": [V2]}}, "set mode: Standard"),
    "candidates behind a separate transformer": Bad(
        _candidate() | SEPARATE, "the transformer would ask the stable one for every picture"
    ),
    "candidates with KEDA": Bad(_candidate() | KEDA, "an autoscaler without a trigger"),
    "a candidate of more than all": Bad(_candidate(trafficPercent=101), '"v2" has trafficPercent 101'),
    "candidates of more than all": Bad(
        STANDARD | {"canary": {"candidates": [V2 | {"trafficPercent": 60}, V2 | {"name": "v3", "trafficPercent": 60}]}},
        "are 120 together",
    ),
    "a candidate with more replicas": Bad(_candidate(minReplicas=3), "and the stable model has 1"),
    "a candidate without a model": Bad(
        STANDARD | {"canary": {"candidates": [{"name": "v2", "trafficPercent": 5}]}}, "missing property 'storageUri'"
    ),
    **{
        f"a candidate with {field}": Bad(_candidate(**{field: 3}), f'"v2" has {field}: a candidate does not scale')
        for field in ("maxReplicas", "scaleTarget", "scaleMetric", "scaleMetricType", "autoScaling")
    },
    # Autoscaling.
    "KEDA in Knative mode": Bad(KNATIVE | KEDA, "autoscaling.type keda is for Standard mode"),
    "KEDA without what it follows": Bad(
        STANDARD | {"autoscaling": KEDA["autoscaling"]}, "KEDA would never scale. Set monitoring.podMonitor.enabled"
    ),
    "HPA where the cluster decides": Bad({"autoscaling": {"type": "hpa", "maxReplicas": 3}}, "set mode: Standard"),
    "concurrency in Standard mode": Bad(
        STANDARD | {"autoscaling": {"type": "concurrency", "maxReplicas": 3}},
        "autoscaling.type concurrency is Knative's",
    ),
    "Knative's bound in Standard mode": Bad(
        STANDARD | {"autoscaling": {"containerConcurrency": 4}}, "autoscaling.containerConcurrency is Knative's"
    ),
    "nothing, and no autoscaler": Bad({"autoscaling": {"minReplicas": 0}}, "nothing would run"),
    "nothing with HPA": Bad(
        STANDARD | {"autoscaling": {"type": "hpa", "minReplicas": 0, "maxReplicas": 3}}, "keeps one replica at least"
    ),
    "nothing with a metric of the model's own": Bad(
        STANDARD | merged(KEDA, {"autoscaling": {"minReplicas": 0}}), "there is no kserve_vision_load to start one by"
    ),
    "no transformer": Bad(
        STANDARD | SEPARATE | {"transformer": {"minReplicas": 0}},
        "transformer.minReplicas is 0 with autoscaling.type none",
    ),
    "half a request": Bad(
        KNATIVE | {"autoscaling": {"type": "rps", "maxReplicas": 3, "target": 0.5}}, "with rps it is a whole number"
    ),
    "KEDA without Prometheus": Bad(
        STANDARD | {"autoscaling": {"type": "keda", "maxReplicas": 3}}, "set autoscaling.keda.serverAddress"
    ),
    "an autoscaler without a bound": Bad(
        STANDARD | {"autoscaling": {"type": "hpa"}}, "without autoscaling.maxReplicas"
    ),
    "more than all of a CPU": Bad(
        STANDARD | {"autoscaling": {"type": "hpa", "maxReplicas": 3, "target": 150}}, "it is 1 to 100 percent"
    ),
    "more at least than at most": Bad(
        STANDARD | {"autoscaling": {"type": "hpa", "minReplicas": 5, "maxReplicas": 2}},
        "autoscaling.minReplicas is 5, which is more than its maxReplicas, 2",
    ),
    "a range that nothing uses": Bad({"autoscaling": {"minReplicas": 1, "maxReplicas": 3}}, "nothing would scale"),
    # The transformer.
    "gRPC in Knative mode": Bad(
        KNATIVE | SEPARATE | {"transformer": {"grpc": True}}, "Knative allows one port in a pod"
    ),
    "replicas of a collocated transformer": Bad(
        {"transformer": {"minReplicas": 2}}, "a collocated one scales with its predictor"
    ),
    "more transformers at least than at most": Bad(
        KNATIVE | SEPARATE | {"autoscaling": {"type": "rps", "maxReplicas": 2}, "transformer": {"minReplicas": 3}},
        "transformer.minReplicas is 3, which is more than its maxReplicas, 2",
    ),
    "a variable that KServe refuses": Bad(
        {"predictor": {"env": [{"name": "PYTHONPATH", "value": "/x"}]}},
        "predictor.env sets PYTHONPATH: KServe refuses it",
    ),
    "a variable that the chart sets": Bad(
        {"transformer": {"env": [{"name": "STORAGE_URI", "value": "s3://x/y"}]}}, "Set storage.uri"
    ),
    "a variable that the runtime refers to": Bad(
        {"transformer": {"env": [{"name": "CPU_REQUEST", "value": "8"}]}},
        "Set transformer.resources.requests.cpu, or CPUS",
    ),
    **{
        f"{variable} of one server alone, by {how}": Bad(
            STANDARD | {"transformer": given},
            f"transformer.{how} sets {variable}, with which the other server's delay and the grace period have to "
            f"move. Set {field}",
        )
        for variable, field in (
            ("DRAIN_DELAY_SECONDS", "drainDelaySeconds"),
            ("DRAIN_TIMEOUT_SECONDS", "drainTimeoutSeconds"),
        )
        for how, given in (
            ("env", {"env": [{"name": variable, "value": "60"}]}),
            ("args", {"args": [f"--{variable.lower()}=60"]}),
        )
    },
    **{
        f"a request above its limit, {what}": Bad(
            values | {part: {"resources": resources}}, f"{part}.resources.requests.{says}: Kubernetes takes no pod"
        )
        for what, values, part, resources, says in (
            (
                "that KServe would set",
                SEPARATE,
                "transformer",
                {"requests": {"cpu": "5"}},
                "cpu is 5, and the limit is 4",
            ),
            (
                "of the runtime",
                SEPARATE,
                "transformer",
                {"requests": {"memory": "2049Mi"}},
                "memory is 2049Mi, and the limit is 2Gi",
            ),
            (
                "of a tuned container",
                {},
                "transformer",
                {"requests": {"cpu": 1}, "limits": {"cpu": "900m"}},
                "cpu is 1, and the limit is 900m",
            ),
            (
                "in another unit",
                {},
                "predictor",
                {"requests": {"memory": "2Gi"}, "limits": {"memory": "2G"}},
                "memory is 2Gi, and the limit is 2G",
            ),
        )
    },
    "an amount that is none": Bad(
        {"predictor": {"resources": {"limits": {"memory": "2Gib"}}}}, "does not match pattern"
    ),
    **{
        f"CPUs that the servers cannot read, {cpu}": Bad(
            {"predictor": {"resources": {"requests": {"cpu": cpu}}}}, "does not match pattern"
        )
        for cpu in ("2k", "0.5m", "1e3m", "1Ki")
    },
    "a flag that is none": Bad({"predictor": {"args": ["num_threads=2"]}}, "does not match pattern '^--'"),
    # Pods.
    **{
        f"{field} in Knative mode": Bad(
            KNATIVE | {group: {field: value}}, f"Knative refuses it unless its ConfigMap config-features says {says}"
        )
        for group, field, value, says in (
            ("scheduling", "nodeSelector", {"a": "b"}, "kubernetes.podspec-nodeselector: enabled"),
            ("scheduling", "tolerations", [{"operator": "Exists"}], "kubernetes.podspec-tolerations: enabled"),
            ("scheduling", "affinity", {"podAffinity": {}}, "kubernetes.podspec-affinity: enabled"),
            ("scheduling", "topologySpreadConstraints", [{}], "kubernetes.podspec-topologyspreadconstraints: enabled"),
            ("scheduling", "priorityClassName", "high", "kubernetes.podspec-priorityclassname: enabled"),
            ("scheduling", "schedulerName", "own", "kubernetes.podspec-schedulername: enabled"),
            ("scheduling", "runtimeClassName", "nvidia", "kubernetes.podspec-runtimeclassname: enabled"),
            ("security", "podSecurityContext", {"fsGroup": 1}, "kubernetes.podspec-securitycontext: enabled"),
        )
    },
    "a node where the cluster decides": Bad({"scheduling": {"nodeSelector": {"a": "b"}}}, "set mode: Standard"),
    "a transformer's node in Knative mode": Bad(
        KNATIVE | SEPARATE | {"transformer": {"scheduling": {"nodeSelector": {"a": "b"}}}},
        'transformer.scheduling.nodeSelector with mode "Knative": Knative refuses it',
    ),
    "a node of a collocated transformer": Bad(
        STANDARD | {"transformer": {"scheduling": {"nodeSelector": {"a": "b"}}}},
        "a collocated one is where its predictor is. Set scheduling.nodeSelector",
    ),
    "a volume claim in Knative mode": Bad(
        KNATIVE | {"cache": {"claimName": "engines"}}, "Knative refuses volume claims as it comes"
    ),
    "too little time to drain": Bad(
        STANDARD | {"terminationGracePeriodSeconds": 26}, "the predictor drains for up to 26 s, and would be killed"
    ),
    "too little time to drain after a longer delay": Bad(
        STANDARD | {"drainDelaySeconds": 20, "terminationGracePeriodSeconds": 41},
        "the predictor drains for up to 41 s, and would be killed before. Set 42 or more, or leave it empty",
    ),
    "too little time to drain for long requests": Bad(
        STANDARD | {"drainTimeoutSeconds": 60, "terminationGracePeriodSeconds": 71},
        "the predictor drains for up to 71 s, and would be killed before. Set 72 or more, or leave it empty",
    ),
    "too little time to drain for long requests of a predictor in pods of its own": Bad(
        STANDARD | SEPARATE | {"drainTimeoutSeconds": 60, "terminationGracePeriodSeconds": 70},
        "the predictor drains for up to 70 s",
    ),
    **{
        f"{field} with {mode}": Bad(mode | {field: 60}, f"{field} with mode {said}: Knative has no such field")
        for field in ("drainDelaySeconds", "drainTimeoutSeconds", "terminationGracePeriodSeconds")
        for mode, said in ((KNATIVE, '"Knative"'), ({}, '""'))
    },
    # Updates.
    "a strategy in Knative mode": Bad(
        KNATIVE | {"deploymentStrategy": {"type": "Recreate"}}, "a new revision comes up beside the old one"
    ),
    "a strategy that replaces nothing": Bad(
        STANDARD | {"deploymentStrategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": "0%"}}},
        "no pod could be replaced. Set maxUnavailable: 1",
    ),
    "two strategies": Bad(
        STANDARD | {"deploymentStrategy": {"type": "Recreate", "rollingUpdate": {"maxSurge": 0}}},
        "all pods end before the new ones start",
    ),
    "a strategy that is none": Bad(
        STANDARD | {"deploymentStrategy": {"rollingUpdate": {"maxSurge": "half"}}}, "does not match pattern"
    ),
    # Monitoring.
    "a ServiceMonitor in Knative mode": Bad(
        KNATIVE | {"monitoring": {"serviceMonitor": {"enabled": True}}}, "leads to the gateway, not to the pods"
    ),
    "alerts on what nobody scrapes": Bad(
        {"monitoring": {"rules": {"enabled": True}}}, "for ever. Set monitoring.podMonitor.enabled: true"
    ),
    "alerts on what a ServiceMonitor does not see": Bad(
        STANDARD | {"monitoring": {"rules": {"enabled": True}, "serviceMonitor": {"enabled": True}}},
        "monitoring.rules without monitoring.podMonitor",
    ),
    "two monitors": Bad(
        STANDARD | {"monitoring": {"serviceMonitor": {"enabled": True}, "podMonitor": {"enabled": True}}}, "twice"
    ),
    # Typos.
    "a value that is none": Bad({"topolgy": "separate"}, "additional properties 'topolgy' not allowed"),
    "a mode that is none": Bad({"mode": "Serverles"}, "value must be one of '', 'Standard', 'Knative'"),
    "an accelerator that is none": Bad({"accelerator": "tpu"}, "value must be one of 'cpu', 'gpu'"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused_with_the_reason(command_line: CommandLine, what: str) -> None:
    with pytest.raises(CommandFailed) as refused:
        rendered(command_line, REFUSED[what].values)
    assert REFUSED[what].says in str(refused.value)


@pytest.mark.parametrize(
    "values",
    [
        {},
        STANDARD,
        KNATIVE,
        {"mode": "RawDeployment"},
        {"mode": "Serverless", "canary": {"trafficPercent": 0}},
        KNATIVE | {"canary": {"trafficPercent": 100, "tagRouting": True}},
        KNATIVE | {"autoscaling": {"type": "rps", "minReplicas": 0, "maxReplicas": 3, "containerConcurrency": 4}},
        KNATIVE | {"knativeFeatures": ["nodeselector"], "scheduling": {"nodeSelector": {"a": "b"}}},
        STANDARD | {"autoscaling": merged(KEDA["autoscaling"], {"minReplicas": 0, "keda": {"query": "sum(up)"}})},
        STANDARD | {"deploymentStrategy": {"rollingUpdate": {"maxSurge": 0}}},
        {"predictor": {"resources": {"requests": {"cpu": "2300m"}, "limits": {"cpu": 2.3}}}},
        {"predictor": {"resources": {"requests": {"memory": "1e9"}, "limits": {"memory": "1G"}}}},
        SEPARATE | {"transformer": {"resources": {"requests": {"cpu": 8}, "limits": {"cpu": "8"}}}},
        KNATIVE | {"name": "d" * 53},
        KNATIVE | {"predictor": {"env": [{"name": "DRAIN_DELAY_SECONDS", "value": "1"}]}},
        STANDARD | {"drainTimeoutSeconds": 60, "terminationGracePeriodSeconds": 72},
        STANDARD | SCRAPED,
        {"storage": {"uri": "", "key": "k", "path": "models/demo", "parameters": {"bucket": "b"}}},
        {"storage": {"uri": "s3://models/demo", "key": "k"}},
        _candidate(minReplicas=1),
    ],
    ids=str,
)  # fmt: skip
def test_what_can_be_meant_is_rendered(command_line: CommandLine, values: Values) -> None:
    assert rendered(command_line, values)


@pytest.mark.parametrize("cpu", ["2", 2, 0.5, "1.5", "1500m", "1e1", "2E-1"])
def test_the_servers_read_every_request_for_cpus_that_the_chart_takes(command_line: CommandLine, cpu: object) -> None:
    values = {"predictor": {"resources": {"requests": {"cpu": cpu}}}}
    spec = one(rendered(command_line, KNATIVE | values), "InferenceService")["spec"]
    (variable,) = spec["predictor"]["model"]["env"]
    assert variable["name"] == "CPU_REQUEST"
    assert PredictorSettings(cpu_request=variable["value"]).cpu_request > 0
