"""`predict` and `bench` against servers that answer something else, or without end."""

from __future__ import annotations

import os
import re
import threading
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.main import app
from cli.reading import MAX_PICTURE_MB
from load.answer import MAX_ANSWER_BYTES
from tests.photos import large_jpeg
from tests.unit.load.answering import PREDICTIONS, answering
from transformer.settings import PictureSettings

QUICK = ("--clients", "1", "--seconds", "0.3", "--warmup", "0")
PAGE = b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 15\r\n\r\n<html>Hi</html>"
GREETING = b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 14\r\n\r\n{"hello":"you"}'[:-1]
ENDLESS_HEAD = b"HTTP/1.1 200 OK\r\n" + b"x-more: of it\r\n" * 20_000
HUGE_BODY = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (MAX_ANSWER_BYTES + 1)
PACKED = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\nnope"


def run(*arguments: object) -> Result:
    words = [str(argument) for argument in arguments]
    return CliRunner().invoke(app, words, env={"COLUMNS": "150", "TERM": "dumb"})


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "coffee.jpg"
    path.write_bytes(large_jpeg("coffee"))
    return path


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (PAGE, "was answered with 200 and text/html, which no transformer says ('<html>Hi</html>')"),
        (GREETING, "application/json, which no transformer says"),
        (b"HTTP/1.1 404 Not Found\r\ncontent-length: 4\r\n\r\nnone", "404 and content of no type"),
        (b"HTTP/1.1 301 Moved\r\nlocation: /\r\ncontent-length: 0\r\n\r\n", "was answered with 301"),
        (b"220 mail.example ESMTP\r\n\r\n", "gives no whole answer of HTTP/1.1"),
        (b"", "gives no whole answer of HTTP/1.1"),
        (ENDLESS_HEAD, "whose head is within 100 KiB"),
        (PACKED, "cannot be unpacked"),
    ],
)
def test_predict_says_what_was_answered_and_what_the_url_should_name(picture: Path, answer: bytes, said: str) -> None:
    with answering(lambda _: answer, close_after_each=True) as server:
        done = run("predict", "--url", f"127.0.0.1:{server.port}", picture)

    assert done.exit_code == 1
    assert said in done.stderr
    assert "--url names the REST address of a transformer, such as http://127.0.0.1:8080" in done.stderr
    assert "Traceback" not in done.output


@pytest.mark.parametrize("url", ["http://[::1", "ftp://somewhere", "http://127.0.0.1:99999"])
def test_predict_says_what_is_no_address(picture: Path, url: str) -> None:
    done = run("predict", "--url", url, picture)

    assert done.exit_code == 1
    assert url in done.stderr
    assert "Traceback" not in done.output
    assert done.exception is None or isinstance(done.exception, SystemExit)


def test_predict_reads_no_answer_over_the_bound_and_names_it(picture: Path) -> None:
    body = b"x" * (MAX_ANSWER_BYTES + 1)
    with answering(lambda _: HUGE_BODY + body) as server:
        done = run("predict", "--url", f"127.0.0.1:{server.port}", picture)

    assert done.exit_code == 1
    assert "has over 64 MiB, and is not read" in done.stderr


@pytest.mark.parametrize("protocol", ["v2-rest", "http"])
@pytest.mark.parametrize(
    ("answer", "said"),
    [(PAGE, "text/html"), (GREETING, "hello"), (ENDLESS_HEAD, "head")],
)
def test_bench_takes_no_other_answer_for_a_success(picture: Path, answer: bytes, said: str, protocol: str) -> None:
    with answering(lambda _: answer, close_after_each=True) as server:
        url = f"http://127.0.0.1:{server.port}"
        done = run("bench", picture, "--url", url, "--protocol", protocol, "--model", "m", *QUICK)

    assert done.exit_code == 1
    assert protocol != "http" or said in done.stderr
    assert not done.stdout.strip()


def test_bench_counts_later_answers_of_somebody_else_as_errors_by_name(picture: Path) -> None:
    with answering(lambda number: PAGE if number % 2 else PREDICTIONS) as server:
        done = run("bench", picture, "--url", f"http://127.0.0.1:{server.port}", *QUICK)

    assert done.exit_code == 0, done.output
    assert re.search(r"\d+ x 200 wrong answer: .*; it is text/html and begins with '<html>Hi</html>'", done.stdout)


def test_the_largest_picture_is_the_servers_own_by_default() -> None:
    assert PictureSettings.model_fields["max_upload_mb"].default == MAX_PICTURE_MB


@pytest.mark.parametrize("command", ["predict", "bench"])
def test_a_picture_that_no_server_takes_is_refused_by_name_and_not_read(tmp_path: Path, command: str) -> None:
    large = tmp_path / "large.jpg"
    with large.open("wb") as file:
        file.truncate(10 * 2**40)  # of which none is on the disk, and nobody could read all

    done = run(command, large, "--url", "http://127.0.0.1:9")

    assert done.exit_code == 1
    assert str(large) in done.stderr
    assert "has 10485760.0 MiB, where pictures of at most 20 MiB are read; --max-mb reads larger ones" in done.stderr


def test_a_larger_picture_is_sent_where_that_is_asked_for(tmp_path: Path) -> None:
    large = tmp_path / "large.jpg"
    large.write_bytes(large_jpeg("coffee") + bytes(2**20))
    with answering(lambda _: PREDICTIONS) as server:
        url = f"http://127.0.0.1:{server.port}"
        refused = run("predict", "--url", url, "--max-mb", "1", large)
        sent = run("predict", "--url", url, "--max-mb", "2", large)

    assert (refused.exit_code, sent.exit_code) == (1, 0)
    assert len(server.requests) == 1


def test_a_pipe_without_end_is_read_up_to_the_bound(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.jpg"
    os.mkfifo(pipe)

    def write_on() -> None:
        with pipe.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(2**16))
            except BrokenPipeError:
                pass

    writer = threading.Thread(target=write_on)
    writer.start()
    done = run("predict", "--url", "http://127.0.0.1:9", "--max-mb", "1", pipe)
    writer.join()

    assert done.exit_code == 1
    assert "it has over 1 MiB" in done.stderr
