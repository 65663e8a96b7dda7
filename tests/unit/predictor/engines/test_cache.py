from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from predictor.engines.cache import FORGOTTEN_S, EngineCache

GPU = {"name": "NVIDIA H200", "capability": "9.0", "driver": "13000", "tensorrt": "101303", "onnxruntime": "1.31.1"}
BUILD = {"graph": "ab" * 32, "trt_fp16_enable": "1"}


def cache(root: Path, **facts: str) -> EngineCache:
    device = {key: facts.pop(key, fact) for key, fact in GPU.items()}
    return EngineCache(root, device, {**BUILD, **facts})


def built(root: Path, content: bytes = b"engine", **facts: str) -> Path:
    """Do what a process does that finds nothing, and return the folder that the next one is given."""
    first = cache(root, **facts)
    folder = first.open()
    assert folder is not None
    (folder / "graph_sm90.engine").write_bytes(content)
    (folder / "sm90.timing").write_bytes(b"timing of " + content)
    first.publish()
    found = cache(root, **facts).open()
    assert found is not None
    return found


def names(folder: Path | None) -> list[str]:
    assert folder is not None
    return sorted(path.name for path in folder.iterdir())


def test_what_one_process_built_the_next_one_finds(tmp_path: Path) -> None:
    found = built(tmp_path / "not" / "there" / "yet")

    assert (found / "graph_sm90.engine").read_bytes() == b"engine"
    assert names(found) == ["graph_sm90.engine", "manifest.json"]


def test_all_lanes_of_a_process_share_what_is_being_built(tmp_path: Path) -> None:
    ours = cache(tmp_path)

    assert ours.open() == ours.open()


@pytest.mark.parametrize("fact", [*GPU, *BUILD, "trt_profile_max_shapes"])
def test_an_engine_of_anything_else_is_not_found(tmp_path: Path, fact: str) -> None:
    built(tmp_path)

    other = cache(tmp_path, **{fact: "another"}).open()

    assert names(other) == (["sm90.timing"] if fact not in GPU else [])


def test_timings_help_the_next_graph_and_are_its_own_copy(tmp_path: Path) -> None:
    built(tmp_path)
    other = cache(tmp_path, graph="another")
    folder = other.open()
    assert folder is not None
    assert (folder / "sm90.timing").read_bytes() == b"timing of engine"

    (folder / "sm90.timing").write_bytes(b"half writ")
    third = cache(tmp_path, graph="third").open()

    assert third is not None
    assert (third / "sm90.timing").read_bytes() == b"timing of engine"


@pytest.mark.parametrize("damage", ["cut", "changed", "deleted", "no list", "no json"])
def test_a_damaged_engine_is_deleted_and_built_anew(
    tmp_path: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = built(tmp_path)
    engine = found / "graph_sm90.engine"
    if damage in ("cut", "changed"):
        engine.write_bytes(b"" if damage == "cut" else b"Engine")
    elif damage == "deleted":
        engine.unlink()
    else:
        (found / "manifest.json").write_text("[]" if damage == "no list" else "{")

    again = cache(tmp_path).open()

    assert again != found
    assert names(again) == []
    assert not found.exists()
    assert "engine cache damaged" in "".join(capsys.readouterr())
    assert built(tmp_path, b"new") == found


def test_what_is_being_built_is_not_found_by_others(tmp_path: Path) -> None:
    folder = cache(tmp_path).open()
    assert folder is not None
    (folder / "graph_sm90.engine").write_bytes(b"half an eng")

    assert names(cache(tmp_path).open()) == []


def test_of_several_processes_that_build_at_once_one_is_kept(tmp_path: Path) -> None:
    caches = [cache(tmp_path) for _ in range(8)]
    for number, each in enumerate(caches):
        folder = each.open()
        assert folder is not None
        (folder / "graph_sm90.engine").write_bytes(b"engine %d" % number)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(EngineCache.publish, caches))

    found = cache(tmp_path).open()
    assert names(found) == ["graph_sm90.engine", "manifest.json"]
    assert not list((tmp_path / "tensorrt").glob(".building-*"))


def test_nothing_is_kept_where_nothing_was_built(tmp_path: Path) -> None:
    ours = cache(tmp_path)
    ours.open()
    ours.publish()

    assert names(tmp_path / "tensorrt") == []


def test_a_volume_that_cannot_be_used_is_done_without(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    ours = cache(tmp_path / "file")

    assert ours.open() is None
    ours.publish()
    ours.discard()

    assert "engine cache not available" in "".join(capsys.readouterr())


def test_a_volume_that_is_full_in_the_end_is_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = cache(tmp_path)
    folder = ours.open()
    assert folder is not None
    (folder / "graph_sm90.engine").write_bytes(b"engine")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    ours.publish()

    assert "engine cache not written" in "".join(capsys.readouterr())
    assert names(tmp_path / "tensorrt") == []


def test_what_was_left_half_built_is_forgotten_after_a_day(tmp_path: Path) -> None:
    old, young = cache(tmp_path).open(), cache(tmp_path).open()
    assert old is not None
    assert young is not None
    os.utime(old, (0, young.stat().st_mtime - FORGOTTEN_S - 1))

    cache(tmp_path).open()

    assert (old.exists(), young.exists()) == (False, True)
