from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from edge.settings import EdgeSettings
from serving import memory
from serving.memory import memory_limit
from transformer.settings import TransformerSettings

Cgroup = Callable[..., None]
GIB = 2**30
MACHINE = 8 * GIB


@pytest.fixture
def cgroup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cgroup:
    """A machine of eight GiB, and a container on it: `cgroup(v2="…")` or `cgroup(v1="…")`."""
    monkeypatch.setattr(os, "sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": MACHINE // 4096}.__getitem__)
    for name, constant in {"v2": "CGROUP_V2", "v1": "CGROUP_V1"}.items():
        monkeypatch.setattr(memory, constant, tmp_path / name)

    def write(**files: str) -> None:
        for name, text in files.items():
            (tmp_path / name).write_text(text)

    return write


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_the_limit_of_the_cgroup_counts(cgroup: Cgroup, version: str) -> None:
    cgroup(**{version: f"{GIB}\n"})

    assert memory_limit() == GIB


@pytest.mark.parametrize("files", [{"v2": "max\n"}, {"v1": "9223372036854771712\n"}, {"v2": ""}, {"v2": "x"}, {}])
def test_without_a_limit_the_machines_memory_counts(cgroup: Cgroup, files: dict[str, str]) -> None:
    cgroup(**files)

    assert memory_limit() == MACHINE


@pytest.mark.parametrize("settings", [TransformerSettings, EdgeSettings])
def test_pictures_may_take_half_of_it(
    cgroup: Cgroup, settings: type[TransformerSettings | EdgeSettings], tmp_path: Path
) -> None:
    cgroup(v2=f"{GIB}\n")

    half, chosen = settings(model_dir=tmp_path), settings(model_dir=tmp_path, max_decode_mb=96)
    least = settings(model_dir=tmp_path, max_decode_mb=1e-7)

    assert (half.decode_bytes, half.limits.max_memory) == (GIB // 2, GIB // 2)
    assert (chosen.decode_bytes, chosen.limits.max_memory) == (96 * 2**20, 96 * 2**20)
    assert (least.decode_bytes, least.limits.max_memory) == (1, 1)
