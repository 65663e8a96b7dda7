from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cli.tune.block import block_of
from cli.tune.candidates import Candidate
from cli.tune.writing import NotWritten, changed, write
from serving.contract import EngineName, Runtime, load_model_directory
from tests.unit.tune.made_up import candidate

HEAD = """\
# Of mine.
apiVersion: kserve-vision/v1
task: raw   # of no task
input: {height: 4, width: 6, resize: {rule: stretch}}
output:
  decoder: tensors
"""
WINNER = candidate(instances=1, threads=2, max_delay_ms=0)


def written(text: str, tried: Candidate = WINNER, comment: str = "this") -> str:
    return changed(text, block_of(tried, Runtime(), 2, comment), tried)


def test_a_section_that_is_not_there_comes_at_the_end() -> None:
    assert written(HEAD) == HEAD + (
        "\n# Tuned on this\nbatching:\n  max_batch_size: 8\n  max_delay_ms: 0\n  instances: 1\n"
    )


def test_keys_are_added_and_changed_where_they_are_and_all_else_stays() -> None:
    before = (
        HEAD
        + "\n# Small batches.\nbatching:\n    # because\n    max_batch_size: 8  # rows\n    max_delay_ms: 7 # was 9\n"
        "\n# At the end.\nmodel:\n  version: '3'\n"
    )

    assert written(before) == (
        HEAD + "\n# Small batches.\nbatching:\n    # Tuned on this\n    instances: 1\n    # because\n"
        "    max_batch_size: 8  # rows\n    max_delay_ms: 0 # was 9\n"
        "\n# At the end.\nmodel:\n  version: '3'\n"
    )


def test_a_key_that_is_there_is_not_left_to_contradict_what_won() -> None:
    before = HEAD + "batching:\n  instances: 7\n  threads: 3\n  max_batch_size: 8\n"

    after = written(before, candidate())

    assert after == HEAD + "batching:\n  # Tuned on this\n  instances: 2\n  threads: 1\n  max_batch_size: 8\n"


def test_the_comment_of_an_earlier_time_is_replaced() -> None:
    once = written(HEAD + "batching:\n  max_batch_size: 8\n")
    twice = written(once, candidate(instances=1, threads=2, max_delay_ms=2), "that")

    assert twice.count("# Tuned on") == 1
    assert twice == once.replace("Tuned on this", "Tuned on that").replace("max_delay_ms: 0", "max_delay_ms: 2")


def test_what_says_so_already_is_not_touched() -> None:
    once = written(HEAD)

    assert written(once, comment="another day") == once


def test_windows_line_ends_stay() -> None:
    after = written((HEAD + "batching:\n  max_batch_size: 8\n").replace("\n", "\r\n"))

    assert after.count("\n") == after.count("\r\n")


def test_an_engine_is_written_beside_the_batching() -> None:
    tried = replace(WINNER, runtime=Runtime(engine=EngineName.OPENVINO))

    after = written(HEAD, tried)

    assert "runtime:\n  engine: openvino\n  precision: fp32\n" in after


@pytest.mark.parametrize(
    "section",
    [
        "batching: {max_batch_size: 8, max_delay_ms: 7}\n",
        "batching: {}\n",
        "batching:\n",
        "batching: &b\n  max_delay_ms: &d 7\nmodel:\n  version: '3'\n...\n---\n",
        "batching:\n  max_delay_ms: &d 7\n  max_batch_size: 8\nmodel:\n  description: *d\n",
    ],
)
def test_what_is_not_certain_is_not_written(section: str) -> None:
    with pytest.raises(NotWritten):
        written(HEAD + section)


def test_a_file_is_replaced_and_keeps_its_mode_and_its_link(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").touch()
    real, link = tmp_path / "real.yaml", tmp_path / "model.yaml"
    real.write_text(HEAD)
    real.chmod(0o640)
    link.symlink_to(real)

    block = block_of(WINNER, Runtime(), 2, "this")

    assert write(link, block, WINNER)
    assert link.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640
    assert load_model_directory(tmp_path).contract.batching.instances == 1
    assert not write(link, block, WINNER)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["model.onnx", "model.yaml", "real.yaml"]


def test_a_file_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotWritten, match="cannot be written"):
        write(tmp_path / "model.yaml", block_of(WINNER, Runtime(), 2, "this"), WINNER)
