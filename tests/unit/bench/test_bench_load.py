from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.children import Child, ChildFailed
from bench.load.loop import FEWEST
from bench.load.plan import Plan
from bench.requests import http_request

BODY = b"x" * 100_000
REQUEST = http_request("/anything", {}, BODY)


@contextmanager
def answering(answer: bytes) -> Iterator[int]:
    """A server that reads requests of `REQUEST`'s length and answers each; gives its port."""
    loop = asyncio.new_event_loop()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readexactly(len(REQUEST)):
                writer.write(answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = loop.run_until_complete(asyncio.start_server(serve, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        server.close()
        loop.run_until_complete(_cancel_all())
        loop.close()


async def _cancel_all() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
def request_file(tmp_path: Path) -> Path:
    path = tmp_path / "request"
    path.write_bytes(REQUEST)
    return path


def test_clients_send_until_enough_was_answered(request_file: Path) -> None:
    with answering(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok") as port, Child("bench.load") as generator:
        plan = Plan(
            protocol="http",
            port=port,
            requests=(request_file,),
            clients=4,
            seconds=30,
            count=400,  # some tens of milliseconds here: the clock of a process counts in ten
            pids={"here": os.getpid()},
        )
        first, second = generator.ask(plan), generator.ask(plan)

    for measured in (first, second):
        assert len(measured.latencies_ms) == 400
        assert measured.answer_bytes == 2
        assert measured.sent_bytes == len(REQUEST)
        assert measured.cpu_seconds["here"] > 0


def test_a_window_waits_for_a_few_requests(request_file: Path) -> None:
    with answering(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok") as port, Child("bench.load") as generator:
        plan = Plan(protocol="http", port=port, requests=(request_file,), clients=1, seconds=1e-9)
        measured = generator.ask(plan)

    assert len(measured.latencies_ms) >= FEWEST


def test_a_refused_request_ends_the_generator(request_file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with (
        answering(b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 4\r\n\r\noops") as port,
        Child("bench.load") as generator,
        pytest.raises(ChildFailed, match="exit code 1"),
    ):
        generator.ask(Plan(protocol="http", port=port, requests=(request_file,), clients=2, seconds=30))

    assert "500 Internal Server Error: oops" in capfd.readouterr().err
