from __future__ import annotations

import os
import subprocess
import sys

import pytest

from load.machine import describe_machine
from load.process import ProcessGone, cpu_seconds, peak_bytes, used_between
from load.readings import read


def test_cpu_time_only_grows() -> None:
    before = cpu_seconds(os.getpid())
    sum(range(10**6))

    assert cpu_seconds(os.getpid()) > before


def test_peak_memory_holds_what_was_given_back() -> None:
    program = "import sys; x = bytearray(200_000_000); del x; print('now', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        peak = peak_bytes(process.pid)
        process.communicate(b"")

    assert 200e6 < peak < 300e6


def test_a_reading_holds_every_process() -> None:
    reading = read({"a": os.getpid(), "b": os.getpid()}, 5.0)

    assert reading.at == 5.0
    assert set(reading.cpu_seconds) == set(reading.peak_bytes) == {"a", "b"}


def test_a_process_that_ended_is_named() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()

    with pytest.raises(ProcessGone, match=f"server: process {process.pid} cannot be read"):
        read({"server": process.pid}, 0.0)


def test_use_is_the_difference_of_two_readings() -> None:
    assert used_between({"a": 1.0, "b": 2.0}, {"a": 1.5, "b": 2.0}) == {"a": 0.5, "b": 0.0}


def test_a_machine_is_described_with_what_decides_its_speed() -> None:
    machine = describe_machine()

    assert machine.cpus >= 1
    assert str(machine).startswith(machine.cpu)
