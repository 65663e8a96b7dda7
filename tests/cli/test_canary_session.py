"""When a command asks before it writes, and what a start takes back by itself."""

from __future__ import annotations

import io
import itertools
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from cli.canary import commands, session
from cli.canary.report import print_changes
from cli.canary.session import Manner, go
from cli.main import app
from rollout import Candidate, Step, Wait, traffic_of
from rollout.kinds import CONFIG_MAP, DEPLOYMENT, HTTP_ROUTE, INFERENCE_SERVICE, Manifest
from rollout.step import Delete
from tests.unit.rollout.cluster import Memory

WRITE = Delete(CONFIG_MAP, "ns", "name", "uid", "1")
SHARE = Step("set the share from 10 to 50 %", WRITE, changes=("-  trafficPercent: 10", "+  trafficPercent: 50"))


class Scripted:
    """A traffic whose steps are given."""

    def __init__(self, *steps: Step) -> None:
        self._steps = iter(steps)
        self.written: list[str] = []

    def decide(self) -> Step:
        return next(self._steps)

    def take(self, step: Step) -> None:
        if step.write is not None:
            self.written.append(step.says)


class Person:
    """Somebody at a terminal who gives answers, and `asked` after what was printed then."""

    def __init__(self, err: Console, *answers: bool) -> None:
        self._answers, self._err = iter(answers), err
        self.asked: list[str] = []

    def __call__(self) -> bool:
        self.asked.append(_text(self._err))
        return next(self._answers)


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second passes at each look at the clock, and nobody sleeps."""
    seconds = itertools.count()
    monkeypatch.setattr(session, "time", SimpleNamespace(sleep=lambda _: None, monotonic=lambda: float(next(seconds))))


@pytest.fixture
def err() -> Console:
    return Console(width=200, file=io.StringIO(), highlight=False, markup=False)


def _text(err: Console) -> str:
    assert isinstance(err.file, io.StringIO)
    return err.file.getvalue()


def _go(traffic: Any, err: Console, *, dry_run: bool = False, yes: bool = False) -> bool:
    return go(traffic, traffic.decide, Manner(dry_run, yes, 5.0), err)


@pytest.mark.parametrize("told", [(), (SHARE.says,)], ids=["that nobody told of", "that was told of"])
def test_a_write_that_follows_a_wait_is_asked_for_once(
    told: Sequence[str], err: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = Step("not ready", waits=Wait.CANDIDATE, then=tuple(told))
    for answer in (False, True):
        person, traffic = Person(err, answer), Scripted(waiting, waiting, SHARE, Step("restore", WRITE), Step("done"))
        monkeypatch.setattr(session, "_confirmed", person)
        if answer:
            assert _go(traffic, err)
        else:
            with pytest.raises(typer.Exit):
                _go(traffic, err)
        assert traffic.written == ([SHARE.says, "restore"] if answer else [])
        (shown,) = person.asked
        assert SHARE.says in shown
        assert told or "+  trafficPercent: 50" in shown


def test_a_yes_beforehand_is_not_asked_for(err: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "_confirmed", Person(err))
    traffic = Scripted(Step("not ready", waits=Wait.CANDIDATE), Step("not ready", waits=Wait.CANDIDATE), SHARE, SHARE)
    with pytest.raises(StopIteration):
        _go(traffic, err, yes=True)
    assert traffic.written == [SHARE.says, SHARE.says]


def test_a_dry_run_shows_the_write_that_follows_a_wait(err: Console) -> None:
    traffic = Scripted(Step("not ready", waits=Wait.CANDIDATE, then=(SHARE.says,)))
    assert not _go(traffic, err, dry_run=True)
    assert SHARE.says in _text(err)
    assert "nothing was written" in _text(err)


def _route(*names: str, seen: int = 1) -> Manifest:
    conditions = [{"type": each, "status": "True", "observedGeneration": seen} for each in ("Accepted", "ResolvedRefs")]
    backends = [{"name": name, "weight": 100 if name == "cat-predictor" else 0} for name in names]
    return {
        "metadata": {"name": "cat"},
        "spec": {"rules": [{"backendRefs": backends}]},
        "status": {"parents": [{"conditions": conditions}]},
    }


def _deployment(name: str) -> Manifest:
    status = {"observedGeneration": 1, "availableReplicas": 1, "updatedReplicas": 1}
    return {"metadata": {"name": name}, "spec": {"replicas": 1}, "status": status}


class Kserve(Memory):
    """KServe in Standard mode: pods of both versions, and a split or none."""

    routed: tuple[str, ...] = ("cat-predictor",)
    seen = 1

    def patch(self, *arguments: Any, **options: Any) -> Manifest:
        done = super().patch(*arguments, **options)
        if not options.get("dry_run"):
            self.look()
        return done

    def look(self) -> None:
        """Make what is asked for."""
        service = self.get(INFERENCE_SERVICE, "default", "cat")
        assert service is not None
        if service["spec"].get("canary"):
            self.put(DEPLOYMENT, _deployment("cat-v2-predictor"))
            self.put(HTTP_ROUTE, _route(*self.routed, seen=self.seen))
        else:
            self.delete(DEPLOYMENT, "default", "cat-v2-predictor", "uid-of-cat-v2-predictor")
            self.put(HTTP_ROUTE, _route("cat-predictor"))


@pytest.fixture
def kserve(monkeypatch: pytest.MonkeyPatch) -> Kserve:
    predictor = {"model": {"modelFormat": {"name": "onnx"}, "storageUri": "s3://m/v1"}}
    status = {"deploymentMode": "Standard", "conditions": [{"type": "Ready", "status": "True"}]}
    service = {"metadata": {"name": "cat"}, "spec": {"predictor": predictor}, "status": status}
    objects = Kserve(
        (INFERENCE_SERVICE, service),
        (DEPLOYMENT, _deployment("cat-predictor")),
        (HTTP_ROUTE, _route("cat-predictor")),
    )
    monkeypatch.setattr(commands, "connect_objects", lambda *_: (objects, "default"))
    return objects


def _start() -> Any:
    return CliRunner().invoke(commands.app, ["start", "cat", "--uri", "s3://m/v2", "--timeout", "9"])


def test_a_start_shows_what_becomes_of_the_spec_before_it_asks(
    kserve: Kserve, err: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = Person(err, *[False])
    traffic = traffic_of(kserve, "default", "cat")
    monkeypatch.setattr(session, "_confirmed", person)
    with pytest.raises(typer.Exit):
        go(
            traffic,
            lambda: traffic.start(Candidate("s3://m/v2", 10)),
            Manner(dry_run=False, yes=False, timeout_s=5.0),
            err,
        )
    (shown,) = person.asked
    for line in (
        "+canary:",
        "+    name: v2",
        "+      storageUri: s3://m/v2",
        "+  trafficPercent: 0",
        "+  minReplicas: 2",
    ):
        assert f"    {line}\n" in shown
    assert not _has_canary(kserve)


def test_a_long_difference_is_cut(err: Console) -> None:
    print_changes([f"+ {number}" for number in range(100)], err)
    assert "... and 60 lines more" in _text(err)
    assert "+ 39" in _text(err)
    assert "+ 40" not in _text(err)


def _has_canary(kserve: Kserve) -> bool:
    service = kserve.get(INFERENCE_SERVICE, "default", "cat")
    return service is not None and "canary" in service["spec"]


def test_a_start_on_a_kserve_without_a_split_is_taken_back(kserve: Kserve) -> None:
    result = _start()
    assert result.exit_code == 1
    assert "this KServe makes no split" in result.output
    assert not _has_canary(kserve)


def test_a_start_whose_gateway_lags_is_left_as_it_is(kserve: Kserve) -> None:
    kserve.routed, kserve.seen = ("cat-predictor", "cat-v2-predictor"), 0
    result = _start()
    assert result.exit_code == 1
    assert "has not looked at the latest HTTPRoute" in result.output
    assert "makes no split" not in result.output
    assert _has_canary(kserve)


def test_a_canary_that_ran_before_the_command_is_not_taken_back(kserve: Kserve) -> None:
    traffic = traffic_of(kserve, "default", "cat")
    for _ in range(2):
        traffic.take(traffic.start(Candidate("s3://m/v2", 10)))
    result = _start()
    assert result.exit_code == 1
    assert "waited 9 s for the HTTPRoute" in result.output
    assert _has_canary(kserve)


@pytest.mark.parametrize(
    "command",
    [
        ("canary", "start", "cat", "--uri", "s3://m/v2", "--stable-dir", "{}", "--candidate-dir", "{}"),
        ("deploy", "{}", "--uri", "s3://m/v2"),
    ],
    ids=lambda command: command[0],
)
def test_a_folder_that_is_no_model_is_told_with_the_code_that_the_servers_log(
    tmp_path: Path, command: Sequence[str]
) -> None:
    """By which the documents are searched."""
    result = CliRunner().invoke(app, [each.format(tmp_path) for each in command])
    assert result.exit_code == 1
    assert result.stderr.startswith("CONTRACT_INVALID: ")
    assert "model.yaml does not exist" in result.stderr
