"""`kserve-vision canary` as a user types it, in a process of its own, for models of our own runtime."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from rollout import Denied, Phase
from tests.cluster.canaries import (
    FIRST,
    KNATIVE_RIGHTS,
    NAME,
    RELEASER,
    SECOND,
    STANDARD_RIGHTS,
    PlayedSplit,
    Stage,
    api_objects,
    role,
    shares,
    stage,
)
from tests.cluster.cli_running import PROGRAM, Done, install_runtimes, kserve_vision, meanwhile
from tests.cluster.cluster import Cluster
from tests.cluster.kinds import CONFIG_MAP, DEPLOYMENT
from tests.cluster.manifests import Manifest

MODEL = {"modelFormat": {"name": "onnx"}, "runtime": "kserve-vision", "storageUri": FIRST}


def _stage(cluster: Cluster, **spec: object) -> Stage:
    install_runtimes(cluster)
    return stage(cluster, {"predictor": {"model": MODEL, "minReplicas": 1}, **spec})


@pytest.fixture
def revisions(knative: Cluster) -> Iterator[Stage]:
    found = _stage(knative)
    with meanwhile(found.play):
        yield found


@pytest.fixture
def pods(standard: Cluster) -> Iterator[Stage]:
    found = _stage(standard)
    with meanwhile(found.play):
        yield found


def _canary(demo: Stage, command: str, *arguments: str | Path, kubeconfig: Path | None = None) -> Done:
    where = ("--namespace", demo.namespace)
    return kserve_vision(kubeconfig or demo.cluster.kubeconfig, "canary", command, "demo", *arguments, *where)


def _is_bare(demo: Stage, before: Manifest) -> bool:
    record = demo.cluster.get(CONFIG_MAP, "demo-canary", demo.namespace)
    return demo.service()["spec"] == before["spec"] and record is None


def test_a_canary_by_hand_in_knative_mode(revisions: Stage) -> None:
    started = _canary(revisions, "start", "--uri", SECOND, "--percent", "10")
    assert started.code == 0, started.err
    assert "keep the stable version's spec in ConfigMap demo-canary" in started.err
    assert "canaryTrafficPercent to 10" in started.err
    assert "the contracts were not compared" in started.err  # nobody serves here
    said = json.loads(_canary(revisions, "status", "-o", "json").out)
    assert (said["phase"], said["stable"]["percent"], said["candidate"]["percent"]) == ("running", 90, 10)
    changed = _canary(revisions, "set", "--percent", "50")
    assert changed.code == 0, changed.err
    assert "50 %" in changed.out
    promoted = _canary(revisions, "promote")
    assert promoted.code == 0, promoted.err
    said = json.loads(_canary(revisions, "status", "-o", "json").out)
    assert (said["phase"], said["stable"]["uri"], said["stable"]["percent"]) == ("none", SECOND, 100)
    assert revisions.service()["spec"]["predictor"]["model"]["storageUri"] == SECOND


def test_an_abort_by_hand_restores_the_spec(revisions: Stage) -> None:
    before = revisions.service()
    assert _canary(revisions, "start", "--uri", SECOND).code == 0
    aborted = _canary(revisions, "abort")
    assert aborted.code == 0, aborted.err
    assert _is_bare(revisions, before)


def test_a_dry_run_says_what_would_be_written_and_writes_nothing(revisions: Stage) -> None:
    before = revisions.service()
    done = _canary(revisions, "start", "--uri", SECOND, "--dry-run")
    assert (done.code, done.out) == (0, "")
    assert f"set the model to {SECOND}, canaryTrafficPercent to 10" in done.err
    assert "nothing was written" in done.err
    assert f"of S3 KServe fetches all that begins so, {SECOND}-2 too" in done.err
    assert _is_bare(revisions, before)


@pytest.mark.parametrize("percent", ["100", "101", "-1", "ten", "1.5"])
def test_a_share_that_no_candidate_has_is_a_sentence(revisions: Stage, percent: str) -> None:
    before = revisions.service()
    done = _canary(revisions, "start", "--uri", SECOND, "--percent", percent)
    assert done.code in (1, 2)
    assert "Traceback" not in done.err
    assert _is_bare(revisions, before)


def test_a_person_at_a_terminal_is_shown_what_will_be_written_and_asked(revisions: Stage) -> None:
    before = revisions.service()
    terminal, other_end = os.openpty()
    where = ["--namespace", revisions.namespace, "--kubeconfig", str(revisions.cluster.kubeconfig)]
    command = [str(PROGRAM), "canary", "start", NAME, "--uri", SECOND, *where]
    with subprocess.Popen(command, stdin=other_end, stdout=subprocess.PIPE, stderr=other_end) as process:
        os.close(other_end)
        shown = b""
        while b"[y/N]" not in shown:
            shown += os.read(terminal, 1000)
        os.write(terminal, b"n\n")
        assert process.wait(60) == 1
    os.close(terminal)
    assert b"canaryTrafficPercent to 10" in shown
    lines = [line.strip() for line in re.sub(r"\x1b\[[0-9;]*m", "", shown.decode()).splitlines()]
    changes = [line for line in lines if line.startswith(("-", "+"))]
    assert changes == ["+  canaryTrafficPercent: 10", f"-    storageUri: {FIRST}", f"+    storageUri: {SECOND}"]
    assert _is_bare(revisions, before)


def test_what_somebody_edited_is_named_and_left(revisions: Stage) -> None:
    assert _canary(revisions, "start", "--uri", SECOND).code == 0
    revisions.edit({"spec": {"predictor": {"timeout": 30}}})
    done = _canary(revisions, "promote")
    assert done.code == 1
    assert "predictor.timeout: (absent) -> 30" in done.err
    assert "edited since the start" in _canary(revisions, "status").out


def test_a_separate_transformer_wants_both_contracts(knative: Cluster, tmp_path: Path) -> None:
    container = {"name": "kserve-container", "image": "kserve-vision-transformer:0.1.0"}
    demo = _stage(knative, transformer={"containers": [container]})
    before = demo.service()
    done = _canary(demo, "start", "--uri", SECOND)
    assert done.code == 1
    assert "--stable-dir and --candidate-dir" in done.err
    stable, other = _model(tmp_path / "1", ["a", "b"]), _model(tmp_path / "2", ["a", "b", "c"])
    done = _canary(demo, "start", "--uri", SECOND, "--stable-dir", stable, "--candidate-dir", other)
    assert done.code == 1
    assert "labels: 2 -> 3" in done.err
    assert _is_bare(demo, before)
    same = _model(tmp_path / "3", ["a", "b"])
    with meanwhile(demo.play):
        done = _canary(demo, "start", "--uri", SECOND, "--stable-dir", stable, "--candidate-dir", same)
    assert done.code == 0, done.err
    assert "the contracts of both versions agree" in done.err


def test_contracts_that_differ_are_told_where_the_transformer_goes_with_the_model(
    revisions: Stage, tmp_path: Path
) -> None:
    stable, other = _model(tmp_path / "1", ["a", "b"]), _model(tmp_path / "2", ["a", "b", "c"], size=320)
    done = _canary(revisions, "start", "--uri", SECOND, "--stable-dir", stable, "--candidate-dir", other)
    assert done.code == 0, done.err
    assert "labels: 2 -> 3" in done.err
    assert "input.height: 224 -> 320" in done.err
    one = _canary(revisions, "start", "--uri", SECOND, "--stable-dir", stable)
    assert (one.code, "belong together" in one.err) == (2, True)


def test_a_kserve_without_a_split_is_found_out_and_the_stable_version_restored(pods: Stage) -> None:
    before = pods.service()
    done = _canary(pods, "start", "--uri", SECOND, "--timeout", "10")
    assert done.code == 1
    assert "this KServe makes no split" in done.err
    assert "The stable version was restored" in done.err
    assert _is_bare(pods, before)
    assert [each["metadata"]["name"] for each in pods.cluster.objects(DEPLOYMENT, pods.namespace)] == ["demo-predictor"]


def test_a_canary_of_our_runtime_in_standard_mode_is_promoted_and_aborted(standard: Cluster) -> None:
    """The split is played, as in `test_canary_standard`."""
    demo = _stage(standard)
    demo.objects = PlayedSplit(api_objects(standard))
    before = demo.service()
    demo.start(percent=10)
    assert shares(demo.read()) == (90, 10)
    demo.run(lambda traffic: traffic.abort())
    assert _is_bare(demo, before)
    demo.start(percent=10)
    demo.run(lambda traffic: traffic.promote())
    assert demo.service()["spec"]["predictor"] == before["spec"]["predictor"] | {
        "name": "v2",
        "model": before["spec"]["predictor"]["model"] | {"storageUri": SECOND},
    }


def test_who_has_the_rights_and_no_others_can_do_all_of_it_in_knative_mode(knative: Cluster, tmp_path: Path) -> None:
    demo = _stage(knative)
    knative.apply(role(*KNATIVE_RIGHTS), demo.namespace)
    somebody = knative.plane.write_kubeconfig(tmp_path / "kubeconfig", RELEASER)
    with meanwhile(demo.play):
        for command in (("start", "--uri", SECOND), ("set", "--percent", "20"), ("abort",)):
            done = _canary(demo, *command, kubeconfig=somebody)
            assert done.code == 0, done.err


def test_who_has_the_rights_and_no_others_can_do_all_of_it_in_standard_mode(standard: Cluster) -> None:
    demo = _stage(standard)
    standard.apply(role(*STANDARD_RIGHTS), demo.namespace)
    demo.objects = PlayedSplit(api_objects(standard, RELEASER))
    demo.start(percent=10)
    demo.run(lambda traffic: traffic.abort())
    demo.start(percent=10)
    demo.edit({"spec": {"predictor": {"minReplicas": 3}}})
    demo.settle()
    demo.run(lambda traffic: traffic.promote(despite_edits=True))
    assert demo.read().phase is Phase.NONE


def test_who_acts_as_another_has_the_rights_of_all_the_others_groups(standard: Cluster, tmp_path: Path) -> None:
    demo = _stage(standard)
    standard.apply(role(*STANDARD_RIGHTS, subject="Group"), demo.namespace)
    path = standard.plane.write_kubeconfig(tmp_path / "kubeconfig", "somebody")
    config = yaml.safe_load(path.read_text())
    for groups, code in (([RELEASER, "readers"], 0), (["readers", RELEASER], 0), (["readers"], 1)):
        config["users"][0]["user"]["as-groups"] = groups
        path.write_text(yaml.safe_dump(config))
        done = _canary(demo, "status", kubeconfig=path)
        assert done.code == code, done.err
    assert "somebody may not get inferenceservices" in done.err


def test_who_may_not_keep_a_record_starts_nothing(knative: Cluster) -> None:
    demo = _stage(knative)
    rights = [each for each in KNATIVE_RIGHTS if "configmaps" not in each]
    knative.apply(role(*rights, ("", "configmaps", "get")), demo.namespace)
    before = demo.service()
    with pytest.raises(Denied, match="configmaps"):
        demo.start(objects=api_objects(knative, RELEASER))
    assert _is_bare(demo, before)


def _model(folder: Path, labels: list[str], size: int = 224) -> Path:
    folder.mkdir()
    (folder / "labels.txt").write_text("\n".join(labels))
    contract = {
        "apiVersion": "kserve-vision/v1",
        "task": "classification",
        "input": {"height": size, "width": size, "resize": {"rule": "stretch"}},
        "output": {"decoder": "logits"},
        "labels": "labels.txt",
    }
    (folder / "model.yaml").write_text(json.dumps(contract))
    return folder
