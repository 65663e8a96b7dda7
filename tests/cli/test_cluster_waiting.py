"""Why an InferenceService is not ready, told from objects as a real API server gave them (`recorded_clusters/`).

KServe's controller wrote the InferenceServices, workloads, routes and events; the statuses of pods were written as a
kubelet and a scheduler would.
"""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from cli.cluster.observed import Observed
from cli.cluster.progress import Progress
from cli.cluster.status import print_statuses, status_of
from cli.cluster.traffic import Share
from cli.cluster.waiting import why_waiting

RECORDED = Path(__file__).parent / "recorded_clusters"


def recorded(name: str, **changes: Any) -> Observed:
    return replace(Observed(**json.loads((RECORDED / f"{name}.json").read_text())), **changes)


def shown(*names: str, width: int = 400) -> str:
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=True, highlight=False, markup=False, color_system=None)
    print_statuses([status_of(recorded(name)) for name in names], console)
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("no-controller-manager", "the Deployment demo-predictor has not been taken up"),
        ("unschedulable", "no node takes the pod: 0/2 nodes are available: 2 Insufficient memory"),
        ("pulling", 'pulling image "kserve/storage-initializer:latest"'),
        ("fetching", "the model is fetched from s3://models/demo by storage-initializer"),
        ("no-credentials", "cannot fetch s3://models/demo: ended with exit code 1: botocore.exceptions.NoCredentials"),
        ("image-pull-back-off", "the image kserve-vision-predictor:0.1.0 of kserve-container cannot be pulled"),
        ("crash-loop", "kserve-container ends again and again, 4 times: ended with exit code 2: DEVICE: 'gpuu'"),
        ("out-of-memory", "kserve-container was killed, since its memory limit of 2Gi is too little"),
        ("loading", "kserve-container runs and is not ready, as while it loads the model"),
        ("no-gateway", "no gateway has answered for HTTPRoute demo (asked: kserve/kserve-ingress-gateway)"),
        ("route-refused", "has not accepted HTTPRoute demo-predictor (NotAllowedByListeners): no listener takes this"),
        ("unknown-scheme", "KServe cannot make anything of it: StorageURI not supported"),
        ("no-runtime", "No ServingRuntimes or ClusterServingRuntimes with the name: kserve-vision-no"),
        ("knative-not-taken-up", "Knative's controller has not taken up the Service demo-predictor"),
        ("knative-revision-failed", "Knative has not made the Service demo-predictor ready: Revision"),
    ],
)
def test_the_first_thing_that_is_not_done_is_what_is_waited_for(name: str, said: str) -> None:
    reason = why_waiting(recorded(name))
    assert reason is not None
    assert said in reason.text
    assert "preemption" not in reason.text
    assert reason.is_final is (name in {"unknown-scheme", "no-runtime"})


def test_of_a_storage_initializers_log_the_last_thing_is_said() -> None:
    """As `make test-node` had it of KServe's own."""
    failed = recorded("no-credentials")
    (status,) = failed.pods[0]["status"]["initContainerStatuses"]
    status["state"]["terminated"]["message"] = (
        "2026-01-01 00:00:00.000 1 storage.initializer INFO [kserve_storage.py:download():168] Copying ...\n"
        "2026-01-01 00:00:01.000 1 storage.initializer ERROR [initializer-entrypoint:<module>():28] "
        "Storage initialization failed: S3 error [403]: Forbidden\n"
    )
    reason = why_waiting(failed)
    assert reason is not None
    assert reason.text == (
        "storage-initializer cannot fetch s3://models/demo: "
        "ended with exit code 1: Storage initialization failed: S3 error [403]: Forbidden"
    )


@pytest.mark.parametrize("name", ["ready", "canary-without-traffic", "knative-canary"])
def test_what_is_ready_is_waited_for_no_longer(name: str) -> None:
    assert why_waiting(recorded(name)) is None


def test_a_pods_own_answer_is_said_rather_than_that_it_runs() -> None:
    loading = recorded("loading")
    (pod,) = (each["metadata"]["name"] for each in loading.pods)
    reason = why_waiting(replace(loading, answers={pod: "MODEL_NOT_READY: the predictor loads demo"}))
    assert reason is not None
    assert reason.text == "the model is not ready: MODEL_NOT_READY: the predictor loads demo"
    assert not reason.is_final


@pytest.mark.parametrize(
    "answer",
    [
        "CONTRACT_INVALID: model.yaml does not exist",
        "MODEL_NOT_READY: model 'demo' waits for its predictor: MODEL_LOAD_FAILED: the graph is none",
    ],
)
def test_a_model_that_cannot_be_loaded_is_not_waited_for(answer: str) -> None:
    loading = recorded("loading")
    (pod,) = (each["metadata"]["name"] for each in loading.pods)
    reason = why_waiting(replace(loading, answers={pod: answer}))
    assert reason is not None
    assert reason.is_final


def test_an_event_from_before_the_last_change_is_none_of_this_versions() -> None:
    before = recorded("unknown-scheme")
    service = json.loads(json.dumps(before.service))
    for each in service["metadata"]["managedFields"]:
        each["time"] = "2099-01-01T00:00:00Z"
    reason = why_waiting(replace(before, service=service))
    assert reason is not None
    assert "StorageURI" not in reason.text
    assert not reason.is_final


def test_the_readiness_of_a_version_before_is_not_believed() -> None:
    ready = recorded("ready")
    service = json.loads(json.dumps(ready.service))
    service["spec"]["predictor"]["model"]["storageUri"] = "s3://models/other"
    reason = why_waiting(replace(ready, service=service))
    assert reason is not None
    assert reason.text.startswith("KServe has not replaced the workload of the version before yet")


@pytest.mark.parametrize(("uri", "is_waited_for"), [("s3://models/demo", False), ("s3://models/other", True)])
def test_the_workload_of_a_promoted_canary_has_its_versions_name(uri: str, *, is_waited_for: bool) -> None:
    ready = recorded("ready")
    service, (deployment,) = json.loads(json.dumps(ready.service)), json.loads(json.dumps(ready.deployments))
    service["spec"]["predictor"]["name"] = "v2"
    service["spec"]["predictor"]["model"]["storageUri"] = uri
    before = why_waiting(replace(ready, service=service))
    assert before is not None
    assert "KServe has not replaced the workload of the version before yet" in before.text
    deployment["metadata"]["name"] = "demo-v2-predictor"
    assert bool(why_waiting(replace(ready, service=service, deployments=[deployment]))) is is_waited_for


def test_pods_that_may_not_be_read_leave_what_the_rest_says() -> None:
    blind = recorded("unschedulable", pods=(), events=(), withheld=("somebody may not list pods in namespace a",))
    reason = why_waiting(blind)
    assert reason is not None
    assert "has not been taken up" in reason.text


def test_a_pod_that_cannot_be_made_is_said_with_who_refuses_it() -> None:
    refused = recorded("no-controller-manager", pods=(), events=())
    deployment = json.loads(json.dumps(refused.deployments[0]))
    message = 'pods "demo-predictor-1" is forbidden: violates PodSecurity "restricted:latest"'
    failed = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message}
    deployment["status"] = {"conditions": [failed]}
    reason = why_waiting(replace(refused, deployments=[deployment]))
    assert reason is not None
    assert reason.text == f"no pod could be made (FailedCreate): {message}"


def test_the_split_is_what_is_observed_and_not_what_is_asked_for() -> None:
    canary = status_of(recorded("canary-without-traffic"))
    assert canary.shares == [Share("demo-predictor", 100)]
    assert any("the canary v2 gets no traffic, where 30 % are asked for" in each for each in canary.remarks)
    knative = status_of(recorded("knative-canary"))
    assert knative.shares == [Share("demo-predictor-00002", 30), Share("demo-predictor-00001", 70)]
    assert knative.remarks == []


def test_a_gateway_that_splits_is_shown_with_its_weights() -> None:
    """As later releases of KServe write them."""
    seen = recorded("canary-without-traffic")
    routes = json.loads(json.dumps(seen.routes))
    (route,) = (each for each in routes if each["metadata"]["name"] == "demo")
    stable, candidate = ({"name": f"demo-{name}predictor", "weight": weight} for name, weight in (("", 7), ("v2-", 3)))
    for rule in route["spec"]["rules"]:
        rule["backendRefs"] = [stable, candidate]
    status = status_of(replace(seen, routes=routes))
    assert status.shares == [Share("demo-predictor", 70), Share("demo-v2-predictor", 30)]
    assert status.remarks == []


def test_no_split_is_told_where_no_gateway_has_taken_the_route() -> None:
    assert status_of(recorded("route-refused")).shares == []


def test_a_percentage_that_standard_mode_ignores_is_said() -> None:
    ready = recorded("ready")
    service = json.loads(json.dumps(ready.service))
    service["spec"]["predictor"]["canaryTrafficPercent"] = 10
    (remark,) = status_of(replace(ready, service=service)).remarks
    assert "canaryTrafficPercent: 10 has no effect in Standard mode" in remark


def test_a_wide_terminal_has_a_table_and_a_narrow_one_blocks() -> None:
    wide = shown("ready", "unschedulable")
    assert [line.split()[:3] for line in wide.splitlines()[:2]] == [
        ["name", "ready", "mode"],
        ["demo", "yes", "Standard"],
    ]
    narrow = shown("ready", width=40)
    assert "  ready: yes\n" in narrow
    assert "  traffic: demo-predictor 100 %\n" in narrow


def test_progress_into_a_pipe_is_a_line_for_each_change() -> None:
    out, now = io.StringIO(), iter(range(100))
    with Progress(Console(file=out, width=40), lambda: next(now)) as progress:
        for text in ("pulling", "pulling", "loading \x1b[2J", "loading \x1b[2J"):
            progress.say(text)
    assert out.getvalue() == "   1 s  pulling\n   3 s  loading ?[2J\n"


def test_progress_on_a_terminal_says_what_looks_like_markup_as_it_is() -> None:
    out = io.StringIO()
    console = Console(file=out, width=80, force_terminal=True, no_color=True, legacy_windows=False)
    with Progress(console, lambda: 1.0) as progress:
        progress.say("mount failed: open [/mnt/models]: no such file, [red]state")
    assert "open [/mnt/models]: no such file, [red]state" in out.getvalue()


def test_progress_on_a_terminal_of_40_columns_rewrites_its_line() -> None:
    out = io.StringIO()
    console = Console(file=out, width=40, force_terminal=True, no_color=True, legacy_windows=False)
    with Progress(console, lambda: 1.0) as progress:
        progress.say("no node takes the pod: 0/2 nodes are available: 2 Insufficient memory")
    lines = [line for line in out.getvalue().splitlines() if "nod" in line]
    assert lines
    assert "Insufficient" in out.getvalue()
