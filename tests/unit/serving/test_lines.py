from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import BinaryIO

import pytest

from serving.lines import FULL_BYTES, MAX_WAITING_BYTES, LineWriter

LAST_WORDS = """
import os, signal, sys, threading
from serving.lines import LineWriter

writer = LineWriter(sys.stderr.buffer, b"%d lost\\n".__mod__)
writer.gather(b"early\\n")
threads = [threading.Thread(target=writer.gather, args=(b"thread\\n",)) for _ in range(3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
writer.write(b"now\\n")
writer.gather(b"late\\n")
"""

DEAF = """
import sys
from serving.log import configure_logging, get_logger, get_request_logger

configure_logging("INFO", "json", "test")
for _ in range(400):
    get_request_logger().info("x" * 1000)
get_logger("test").info("the end")
"""


@pytest.fixture
def pipe() -> Iterator[tuple[BinaryIO, BinaryIO]]:
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb", 0) as writer, os.fdopen(reading, "rb", 0) as reader:
        yield reader, writer


def writer_on(stream: BinaryIO) -> LineWriter:
    return LineWriter(stream, b"%d lost\n".__mod__)


def said_by(program: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    return done.stderr.splitlines()


def test_a_gathered_line_comes_by_itself(pipe: tuple[BinaryIO, BinaryIO]) -> None:
    reader, stream = pipe
    writer_on(stream).gather(b"a\n")

    assert reader.read(2) == b"a\n"


def test_many_gathered_lines_do_not_wait_for_each_other(pipe: tuple[BinaryIO, BinaryIO]) -> None:
    reader, stream = pipe
    writer = writer_on(stream)
    line = b"x" * (FULL_BYTES // 4 - 1) + b"\n"
    for _ in range(4):
        writer.gather(line)

    received = b""
    while len(received) < FULL_BYTES:
        received += reader.read(FULL_BYTES)
    assert received == 4 * line


def test_a_line_that_is_written_now_comes_after_those_before_it() -> None:
    stream = io.BytesIO()
    writer = writer_on(stream)
    writer.gather(b"first\n")
    writer.write(b"second\n")
    writer.flush()

    assert stream.getvalue() == b"first\nsecond\n"


def test_a_line_that_is_not_gathered_waits_for_no_others(
    pipe: tuple[BinaryIO, BinaryIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.lines.GATHER_S", 3600)
    reader, stream = pipe
    writer = writer_on(stream)
    writer.gather(b"a\n")
    writer.write(b"b\n")

    assert reader.read(4) == b"a\nb\n"


@pytest.mark.parametrize("ending", ["", "raise SystemExit(3)", "1 / 0"])
def test_nothing_is_lost_where_the_process_ends_by_itself(ending: str) -> None:
    lines = [line for line in said_by(LAST_WORDS + ending) if line in {"early", "thread", "now", "late"}]

    assert lines == ["early", "thread", "thread", "thread", "now", "late"]


def test_lines_of_many_threads_stay_whole_and_in_each_ones_order() -> None:
    stream = io.BytesIO()
    writer = writer_on(stream)

    def work(name: int) -> None:
        for number in range(500):
            (writer.write if number % 50 == 0 else writer.gather)(b"%d %d\n" % (name, number))

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.flush()

    written = [tuple(map(int, line.split())) for line in stream.getvalue().splitlines()]
    for name in range(4):
        assert [number for who, number in written if who == name] == list(range(500))


def test_a_reader_that_does_not_read_holds_nobody_up_and_hears_what_was_lost(pipe: tuple[BinaryIO, BinaryIO]) -> None:
    reader, stream = pipe
    writer = writer_on(stream)
    line = b"x" * 1023 + b"\n"
    count = 2 * MAX_WAITING_BYTES // len(line)
    for _ in range(count):  # more than the pipe and the memory for it hold
        writer.gather(line)
    told = threading.Event()

    def read() -> None:
        received = b""
        known = lost = 0
        while known < count:
            received += reader.read(2**16)
            whole = received[: received.rfind(b"\n") + 1]
            lost = sum(map(int, re.findall(rb"(\d+) lost\n", whole)))
            known = whole.count(line) + lost
        if known == count and lost:
            told.set()

    reading = threading.Thread(target=read)
    reading.start()
    reading.join(30)
    assert told.is_set()


def test_nobody_who_writes_a_line_waits_for_the_reader(pipe: tuple[BinaryIO, BinaryIO]) -> None:
    _, stream = pipe
    writer = writer_on(stream)
    written = threading.Event()

    def write() -> None:
        for _ in range(100):
            writer.write(b"x" * 4095 + b"\n")  # more than the pipe holds
        written.set()

    threading.Thread(target=write, daemon=True).start()
    assert written.wait(30)


def test_a_process_ends_though_nobody_reads() -> None:
    with subprocess.Popen([sys.executable, "-c", DEAF], stderr=subprocess.PIPE) as process:
        try:
            assert process.wait(30) == 0
        finally:
            process.kill()


def test_a_stream_that_does_not_block_gets_all_lines() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with os.fdopen(reading, "rb") as reader:
        with os.fdopen(writing, "wb", 0) as stream:
            writer = writer_on(stream)
            sent = b"".join(b"%06d\n" % number for number in range(30_000))
            writer.write(sent)
            received = reader.read(len(sent))
            writer.flush()
        assert received == sent


def test_a_reader_that_is_gone_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb", 0) as stream:
        writer = writer_on(stream)
        writer.gather(b"a\n")
        writer.write(b"b\n")
        writer.flush()
    writer.write(b"c\n")  # on a closed stream
    writer.flush()
