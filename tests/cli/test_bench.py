from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from cli.bench.session import Manner, open_session
from cli.bench.target import Asked, make_target
from cli.main import app
from load.plan import Closed
from tests.photos import large_jpeg, photo_bytes
from tests.servers import RunningPair
from tests.unit.load.answering import BUSY, PREDICTIONS, answering

QUICK = ("--seconds", "0.3", "--warmup", "0")


def run(*arguments: object) -> Result:
    words = [str(argument) for argument in arguments]
    return CliRunner().invoke(app, ["bench", *words], env={"COLUMNS": "150", "TERM": "dumb"})


@pytest.fixture
def album(tmp_path: Path) -> Path:
    folder = tmp_path / "album"
    folder.mkdir()
    (folder / "coffee.jpg").write_bytes(large_jpeg("coffee"))
    (folder / "chelsea.png").write_bytes(photo_bytes("chelsea"))
    (folder / "notes.txt").write_text("no picture")
    return folder


def report(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_clients_are_measured_in_turn_shown_written_and_drawn(pair: RunningPair, album: Path, tmp_path: Path) -> None:
    pids = [f"--pid={server}={getattr(pair, server).process.pid}" for server in ("transformer", "predictor")]
    out, plot = tmp_path / "out" / "results.json", tmp_path / "out" / "plot.png"

    done = run(album, "--url", pair.transformer.url, "--clients", "1,4", *pids, *QUICK, "--out", out, "--plot", plot)

    assert done.exit_code == 0, done.output
    assert "2 pictures of" in done.stderr
    assert re.search(r"^1 client +\d", done.stdout, re.MULTILINE)
    assert re.search(r"^4 clients +\d", done.stdout, re.MULTILINE)
    assert re.search(r"^CPU ms an answer +transformer +predictor +together +generator", done.stdout, re.MULTILINE)
    written = report(out)
    assert [step["load"]["clients"] for step in written["steps"]] == [1, 4]
    for step in written["steps"]:
        sample = step["sample"]
        assert set(sample["kinds"]) == {"200"}
        assert sample["requests"] == sample["kinds"]["200"] >= 5
        assert 0 < sample["latency"]["p50_ms"] <= sample["latency"]["p99_ms"] <= sample["latency"]["max_ms"]
        assert set(sample["cpu_ms"]) == {"transformer", "predictor", "generator"}
        assert sample["peak_bytes"]["predictor"] > 1e7
    assert written["machine"]["cpus"] >= 1
    assert written["plan"]["protocol"] == "http"
    with Image.open(plot) as image:
        assert image.format == "PNG"


def test_without_pictures_some_are_generated_and_that_is_said(pair: RunningPair) -> None:
    done = run("--url", pair.transformer.url, "--rate", "20", *QUICK)

    assert done.exit_code == 0, done.output
    assert "generated JPEGs of 1280x853" in done.stderr
    assert re.search(r"^20/s +\d", done.stdout, re.MULTILINE)


@pytest.mark.parametrize("protocol", ["v2-rest", "v2-json", "v2-grpc"])
def test_a_predictor_alone_is_sent_random_pixels(pair: RunningPair, tmp_path: Path, protocol: str) -> None:
    address = pair.predictor.grpc if protocol == "v2-grpc" else pair.predictor.url
    out = tmp_path / "results.json"

    done = run(
        "--url",
        address,
        "--protocol",
        protocol,
        "--model",
        "efficientnet-lite0",
        "--clients",
        "2",
        *QUICK,
        "--out",
        out,
    )

    assert done.exit_code == 0, done.output
    assert "random tensors, pixels UINT8 [1, 224, 224, 3]" in done.stderr
    (step,) = report(out)["steps"]
    assert set(step["sample"]["kinds"]) == {"OK" if protocol == "v2-grpc" else "200"}


@pytest.mark.parametrize("protocol", ["v2-rest", "v2-grpc"])
def test_a_transformer_is_sent_pictures_over_v2(pair: RunningPair, album: Path, protocol: str) -> None:
    address = pair.transformer.grpc if protocol == "v2-grpc" else pair.transformer.url

    done = run(
        album, "--url", address, "--protocol", protocol, "--model", "efficientnet-lite0", "--clients", "2", *QUICK
    )

    assert done.exit_code == 0, done.output
    assert "2 pictures of" in done.stderr


def test_the_name_of_a_single_model_is_asked_for(pair: RunningPair) -> None:
    done = run("--url", pair.predictor.url, "--protocol", "v2-rest", "--clients", "1", *QUICK)

    assert done.exit_code == 0, done.output
    assert "efficientnet-lite0 by v2-rest" in done.stderr


def test_servers_are_started_for_a_model_directory_and_their_cpu_time_is_shown(model_dir: Path, tmp_path: Path) -> None:
    out = tmp_path / "results.json"

    done = run(
        "--serve", model_dir, "--predictor-alone", "--protocol", "v2-grpc", "--clients", "2", *QUICK, "--out", out,
        "--predictor-flag=--num_threads=1",
    )  # fmt: skip

    assert done.exit_code == 0, done.output
    (step,) = report(out)["steps"]
    assert set(step["sample"]["cpu_ms"]) == {"predictor", "generator"}
    assert report(out)["plan"]["serving"]["predictor_flags"] == ["--num_threads=1"]


def test_refusals_are_counted_and_quoted_once_and_the_load_goes_on() -> None:
    with answering(lambda number: BUSY if number % 2 else PREDICTIONS) as server:
        done = run("--url", f"http://127.0.0.1:{server.port}", "--clients", "2,3", *QUICK)

    assert done.exit_code == 0, done.output
    assert len(re.findall(r"^\d+ x 429 FULL: later$", done.stdout, re.MULTILINE)) == 1
    assert "not honoured (--honour-retry-after does)" in done.stdout
    assert done.stdout.count("all answers") == 2


def test_a_server_that_only_refuses_is_measured_all_the_same(tmp_path: Path) -> None:
    with answering(lambda _: BUSY) as server:
        done = run("--url", f"127.0.0.1:{server.port}", "--clients", "2", *QUICK, "--plot", tmp_path / "plot.png")

    assert done.exit_code == 0, done.output
    assert "no plot: nothing was answered" in done.stderr
    assert not (tmp_path / "plot.png").exists()


def test_the_most_requests_a_second_are_searched_and_said_in_a_sentence(tmp_path: Path) -> None:
    """The server answers 500 a second, and refuses more."""
    free_at = 0.0

    def limited(_number: int) -> bytes:
        nonlocal free_at
        now = time.monotonic()
        free_at = max(free_at, now - 0.1)
        if free_at > now:
            return BUSY
        free_at += 0.002
        return PREDICTIONS

    out, plot = tmp_path / "results.json", tmp_path / "plot.png"
    with answering(limited) as server:
        done = run(
            "--url", f"http://127.0.0.1:{server.port}", "--find-p99", "1000", *QUICK, "--out", out, "--plot", plot
        )

    assert done.exit_code == 0, done.output
    assert re.search(
        r"requests/s is the most with p99 ≤ 1000 ms: p99 was .* in \d windows?; .*/s does not hold", done.stdout
    )
    search = report(out)["search"]
    assert search["best"] < search["fails"]
    assert any(window["why_not"].endswith("refused") for window in search["windows"])
    assert plot.exists()


def test_a_bound_that_one_client_alone_exceeds_is_said(pair: RunningPair) -> None:
    done = run("--url", pair.transformer.url, "--find-p99", "0.01", *QUICK)

    assert done.exit_code == 0, done.output
    assert "No rate has p99 ≤ 0.01 ms: one client alone has a p99 of" in done.stdout


def test_a_server_that_is_not_there_is_said_in_a_sentence() -> None:
    done = run("--url", "http://127.0.0.1:9", *QUICK)

    assert done.exit_code == 1
    assert "http://127.0.0.1:9 does not answer" in done.stderr
    assert "is `kserve-vision serve` running?" in done.stderr


def test_a_first_request_that_is_refused_is_told_with_the_servers_words(pair: RunningPair, album: Path) -> None:
    done = run(album / "notes.txt", "--url", pair.transformer.url, *QUICK)

    assert done.exit_code == 1
    assert "415 IMAGE_UNSUPPORTED" in done.stderr
    assert not done.stdout.strip()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--protocol", "v2-rest", "--model", "nobody"), "MODEL_NOT_FOUND"),
        (("--protocol", "v2-rest", "--shape", "nothing=1,2"), "no input 'nothing'"),
        (("--protocol", "v2-rest", "--shape", "1,5,5,3"), "does not fit"),
        (("--protocol", "v2-grpc"), "--model"),
        (("--pid", "gone=4194303", "--protocol", "v2-rest", "--clients", "1"), "gone: process 4194303 cannot be read"),
    ],
)
def test_what_cannot_be_asked_is_said(pair: RunningPair, arguments: tuple[str, ...], said: str) -> None:
    done = run("--url", pair.predictor.url, *arguments, *QUICK)

    assert done.exit_code == 1
    assert said in done.stderr


def test_a_model_that_takes_tensors_is_sent_no_pictures(pair: RunningPair, album: Path) -> None:
    done = run(album, "--url", pair.predictor.url, "--protocol", "v2-rest", *QUICK)

    assert done.exit_code == 1
    assert "takes tensors, not pictures" in done.stderr


def test_a_folder_without_pictures_is_said(tmp_path: Path) -> None:
    done = run(tmp_path, *QUICK)

    assert done.exit_code == 1
    assert "holds no pictures" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("--clients", "0"),
        ("--clients", "1.5"),
        ("--clients", "one"),
        ("--clients", "99999"),
        ("--rate", "-5"),
        ("--rate", "nan"),
        ("--rate", "1e9"),
        ("--rate", "5", "--clients", "5"),
        ("--find-p99", "0"),
        ("--seconds", "100000"),
        ("--protocol", "http2"),
        ("--pid", "name"),
        ("--pid", "a=1", "--pid", "a=2"),
        ("--shape", "1,x"),
        ("--header", "nothing"),
        ("--header", "a: b\r\nc: d"),
        ("--serve", "efficientnet-lite0", "--url", "http://127.0.0.1:1"),
        ("--serve", "efficientnet-lite0", "--predictor-alone"),
    ],
)
def test_an_option_that_makes_no_sense_is_a_usage_error(arguments: tuple[str, ...]) -> None:
    assert run(*arguments).exit_code == 2


@pytest.mark.parametrize("address", ["ftp://somewhere", "http://", "http://[::1"])
def test_what_is_no_address_is_said(address: str) -> None:
    done = run("--url", address, *QUICK)

    assert done.exit_code == 1
    assert "is no address" in done.stderr


def test_a_header_reaches_the_server() -> None:
    with answering(lambda _: PREDICTIONS) as server:
        done = run(
            "--url", f"http://127.0.0.1:{server.port}", "--header", "Host: model.example", "--clients", "1", *QUICK
        )

    assert done.exit_code == 0, done.output
    assert b"\r\nhost: model.example\r\n" in server.requests[0]


def test_ctrl_c_between_two_windows_ends_the_next_before_its_time(tmp_path: Path) -> None:
    with answering(lambda _: PREDICTIONS) as server:
        target = make_target(Asked(f"http://127.0.0.1:{server.port}", "http", None))
        manner = Manner(seconds=20.0, warmup_s=0.0, timeout_s=10.0)
        with open_session(target, manner, {}, tmp_path) as session:
            session.check()
            os.kill(os.getpid(), signal.SIGINT)
            sample = session.window(Closed(clients=1))

    assert sample.interrupted
    assert session.stopped


def test_ctrl_c_ends_it_with_what_was_measured() -> None:
    with answering(lambda _: PREDICTIONS) as server:
        command = [sys.executable, "-m", "cli", "bench", "--url", f"http://127.0.0.1:{server.port}", "--clients", "1,2"]
        process = subprocess.Popen(
            [*command, "--seconds", "300", "--warmup", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        deadline = time.monotonic() + 60
        while len(server.requests) < 100 and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)

    assert process.returncode == 130, stderr
    assert re.search(r"^1 client +\d", stdout, re.MULTILINE)
    assert "2 clients" not in stdout
    assert "ended before its time" in stdout
    assert "Traceback" not in stderr
