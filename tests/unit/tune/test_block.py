from __future__ import annotations

from dataclasses import replace

import pytest
import yaml

from cli.tune.block import block_of
from serving.contract import Batching, EngineName, Precision, Runtime
from tests.unit.tune.made_up import candidate


@pytest.mark.parametrize(
    ("lanes", "threads", "cpus", "expected"),
    [
        (2, 1, 2, {}),
        (1, 2, 2, {"instances": 1}),
        (2, 4, 8, {"instances": 2}),
        (4, 2, 8, {}),
        (8, 1, 8, {"instances": 8}),
        (3, 1, 8, {"instances": 3, "threads": 1}),
    ],
)
def test_what_a_predictor_finds_by_itself_is_left_out(
    lanes: int, threads: int, cpus: int, expected: dict[str, int]
) -> None:
    tried = candidate(instances=lanes, threads=threads, max_batch_size=Batching().max_batch_size)

    assert block_of(tried, Runtime(), cpus, "").batching == expected


def test_a_block_reads_as_the_section_it_is() -> None:
    tried = candidate(instances=1, threads=2, max_batch_size=16, max_delay_ms=2.5, adaptive=False, sizes=(1, 16))

    block = block_of(tried, Runtime(), 2, "2 CPUs: more")

    assert block.text.startswith("# Tuned on 2 CPUs: more\nbatching:\n")
    assert yaml.safe_load(block.text) == {
        "batching": {"max_batch_size": 16, "sizes": [1, 16], "max_delay_ms": 2.5, "adaptive": False, "instances": 1}
    }


def test_a_block_of_nothing_but_defaults_is_an_empty_section() -> None:
    block = block_of(candidate(max_batch_size=32), Runtime(), 2, "2 CPUs")

    assert block.text == "# Tuned on 2 CPUs\nbatching: {}\n"


def test_another_engine_is_a_section_of_its_own() -> None:
    other = Runtime(engine=EngineName.OPENVINO, precision=Precision.BF16)
    tried = replace(candidate(max_batch_size=32), runtime=other)

    assert yaml.safe_load(block_of(tried, Runtime(), 2, "x").text)["runtime"] == {
        "engine": "openvino", "precision": "bf16",
    }  # fmt: skip
    assert block_of(tried, other, 2, "x").runtime == {}
