from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from predictor.loading import load
from serving import cpu
from serving.cpu import BORROWED, cpu_limit
from serving.metrics import Metrics
from serving.settings import ServerSettings, SettingsError
from tests.unit.predictor.graphs import classifier, directory, settings
from transformer.model import TransformerModel
from transformer.server import serve_pictures
from transformer.settings import PictureSettings

Cgroup = Callable[..., None]
CPUS = 8


@pytest.fixture
def cgroup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cgroup:
    """A machine of eight CPUs, and a container on it: `cgroup(v2="…")` or `cgroup(quota="…", period="…")`."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(CPUS)), raising=False)
    places = {"v2": "CGROUP_V2", "quota": "CGROUP_V1_QUOTA", "period": "CGROUP_V1_PERIOD"}
    for name, constant in places.items():
        monkeypatch.setattr(cpu, constant, tmp_path / name)

    def write(**files: str) -> None:
        for name, text in files.items():
            (tmp_path / name).write_text(text)

    return write


@pytest.mark.parametrize(
    ("limits", "expected"),
    [("200000 100000\n", 2), ("150000 100000\n", 2), ("50000 100000\n", 1), ("1000 100000\n", 1)],
)
def test_a_quota_is_rounded_up_to_whole_cpus(cgroup: Cgroup, limits: str, expected: int) -> None:
    cgroup(v2=limits)

    assert cpu_limit() == expected


def test_a_quota_over_the_machine_is_the_machine(cgroup: Cgroup) -> None:
    cgroup(v2="6400000 100000")

    assert cpu_limit() == CPUS


@pytest.mark.parametrize("text", ["max 100000\n", "", "nonsense", "1 2 3"])
def test_without_a_quota_all_allowed_cpus_count(cgroup: Cgroup, text: str) -> None:
    cgroup(v2=text)

    assert cpu_limit() == CPUS


def test_outside_of_a_cgroup_all_allowed_cpus_count(cgroup: Cgroup) -> None:
    cgroup()

    assert cpu_limit() == CPUS


@pytest.mark.parametrize(("quota", "expected"), [("300000\n", 3), ("-1\n", CPUS)])
def test_a_quota_of_cgroup_v1_counts_too(cgroup: Cgroup, quota: str, expected: int) -> None:
    cgroup(quota=quota, period="100000\n")

    assert cpu_limit() == expected


def test_the_schedulers_mask_counts_where_it_is_less(cgroup: Cgroup, monkeypatch: pytest.MonkeyPatch) -> None:
    cgroup(v2="400000 100000")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3}, raising=False)

    assert cpu_limit() == 1


def test_where_there_is_no_mask_the_machines_cpus_count(cgroup: Cgroup, monkeypatch: pytest.MonkeyPatch) -> None:
    cgroup()
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 5)

    assert cpu_limit() == 5


@pytest.mark.parametrize(("chosen", "expected"), [(2, 2), (0.5, 1), (1.5, 2), (64, CPUS), (0, CPUS)])
def test_fewer_cpus_can_be_chosen(cgroup: Cgroup, chosen: float, expected: int) -> None:
    cgroup()

    assert cpu_limit(chosen) == expected


@pytest.mark.parametrize(("chosen", "expected"), [(2, 2), (6, 3)])
def test_of_a_quota_and_a_choice_the_less_holds(cgroup: Cgroup, chosen: float, expected: int) -> None:
    cgroup(v2="300000 100000")

    assert cpu_limit(chosen) == expected


@pytest.mark.parametrize(("requested", "expected"), [(0.1, BORROWED), (1, BORROWED), (5.5, 6), (64, CPUS), (0, CPUS)])
def test_without_a_quota_what_was_asked_for_counts_and_a_little_more(
    cgroup: Cgroup, requested: float, expected: int
) -> None:
    cgroup(v2="max 100000")

    assert cpu_limit(requested=requested) == expected


def test_what_was_asked_for_counts_nothing_beside_a_quota_or_a_choice(cgroup: Cgroup) -> None:
    cgroup(v2="600000 100000")

    assert cpu_limit(requested=1) == 6
    assert cpu_limit(chosen=5, requested=1) == 5
    cgroup(v2="max 100000")
    assert cpu_limit(chosen=7, requested=1) == 7
    assert cpu_limit(chosen=1, requested=6) == 1


@pytest.mark.parametrize(("text", "expected"), [("2", 2.0), ("1.5", 1.5), ("1500m", 1.5), ("250m", 0.25), ("0", 0.0)])
def test_cpus_are_written_as_in_a_manifest(monkeypatch: pytest.MonkeyPatch, text: str, expected: float) -> None:
    monkeypatch.setenv("CPUS", text)
    monkeypatch.setenv("CPU_REQUEST", text)
    read = ServerSettings.parse([], "server")

    assert (read.cpus, read.cpu_request) == (expected, expected)


@pytest.mark.parametrize("text", ["all", "-1", "1Gi", "m", "1.5m", "nan", "inf"])
def test_what_is_no_number_of_cpus_is_told(text: str) -> None:
    with pytest.raises(SettingsError, match=f"cpus is '{text}': "):
        ServerSettings.parse([f"--cpus={text}"], "server")


@pytest.mark.parametrize(("told", "lanes"), [({"cpus": 3}, 3), ({"cpu_request": 6}, 6), ({"cpu_request": 1}, BORROWED)])
def test_the_predictor_has_as_many_lanes(cgroup: Cgroup, tmp_path: Path, told: dict[str, Any], lanes: int) -> None:
    cgroup(v2="max 100000")
    loaded = load(settings(directory(tmp_path / "model", classifier(), "a\nb\nc\nd\ne\n"), **told))

    assert len(loaded.lanes) == lanes


class _Seen(Exception):
    pass


@pytest.mark.parametrize(
    ("told", "threads"), [({"cpus": 3}, 3), ({"cpu_request": 6}, 6), ({"cpu_request": 1}, BORROWED)]
)
async def test_the_transformer_has_as_many_decoding_threads(
    cgroup: Cgroup, tmp_path: Path, told: dict[str, Any], threads: int
) -> None:
    cgroup(v2="max 100000")
    found: list[str] = []

    def look(*_: object) -> TransformerModel:
        found.extend(each.name for each in threading.enumerate() if each.name.startswith("the decoder"))
        raise _Seen

    folder = directory(tmp_path / "model", classifier(), "a\nb\nc\nd\ne\n")
    with pytest.raises(_Seen):
        await serve_pictures(PictureSettings(model_dir=folder, **told), Metrics("test"), "test", look)

    assert len(found) == threads
