from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from serving import cpu
from serving.cpu import cpu_limit

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
