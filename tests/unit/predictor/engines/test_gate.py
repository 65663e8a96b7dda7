from __future__ import annotations

import threading

import pytest

from predictor.engines.gate import Gate


def test_many_run_at_once() -> None:
    gate = Gate()
    meeting = threading.Barrier(4, timeout=10)

    def run() -> None:
        with gate.run():
            meeting.wait()

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert not meeting.broken
    assert not any(thread.is_alive() for thread in threads)


def test_who_records_is_alone() -> None:
    gate = Gate()
    inside: list[str] = []
    alone: list[bool] = []

    def run() -> None:
        for _ in range(200):
            with gate.run():
                inside.append("run")
                inside.remove("run")

    def record() -> None:
        for _ in range(50):
            with gate.record():
                alone.append(not inside)
                inside.append("record")
                inside.remove("record")

    threads = [threading.Thread(target=work) for work in (run, run, run, record, record)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert alone == 100 * [True]


@pytest.mark.parametrize("way", ["run", "record"])
def test_a_failure_leaves_the_gate_open(way: str) -> None:
    gate = Gate()

    with pytest.raises(ZeroDivisionError), getattr(gate, way)():
        raise ZeroDivisionError

    with gate.record():
        pass
    with gate.run():
        pass
