from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner, Result

from cli.main import app
from cli.tune import score, tuning
from tests.unit.predictor import graphs

QUICK = ("--seconds", "0.2", "--p99", "10000")
LABELS = "a\nb\nc\nd\ne\n"


def run(*arguments: object) -> Result:
    words = [str(argument) for argument in arguments]
    return CliRunner().invoke(app, ["tune", *words], env={"COLUMNS": "150", "TERM": "dumb"})


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A classifier of one row at a time, so that there are no batches to try."""
    return graphs.directory(tmp_path / "small", graphs.classifier(batch=1, output_batch=1), LABELS)


def test_a_model_is_tuned_and_what_was_measured_is_shown_written_and_drawn(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "ROUNDS", 1)
    monkeypatch.setattr(score, "MOST_CLIENTS", 2)
    monkeypatch.setattr("cli.tune.run.cpu_limit", lambda: 2)
    out, plot = tmp_path / "out" / "tune.json", tmp_path / "out" / "tune.png"
    before = (small / "model.yaml").read_text()

    done = run(small, *QUICK, "--budget", "600", "--device", "cpu", "--write", "--out", out, "--plot", plot)

    assert done.exit_code == 0, done.output
    assert re.search(r"^2x1 +\d.* as it is, 1 round", done.stderr, re.MULTILINE)
    assert re.search(r"^1x2 +\d", done.stderr, re.MULTILINE)
    written = json.loads(out.read_text())
    assert [trial["name"] for trial in written["trials"]] == ["2x1", "1x2"]
    for trial in written["trials"]:
        assert trial["reason"] == ""
        assert trial["figures"]["rows_per_second"] > 0
        assert trial["figures"]["peak_bytes"] > 1e7
        assert trial["short"][0]["sample"]["kinds"] == {"200": trial["short"][0]["sample"]["requests"]}
    with Image.open(plot) as image:
        assert image.format == "PNG"
    assert not written["is_sure"]  # one round is none
    section = (yaml.safe_load(done.stdout) or {}).get("batching")
    assert section == written["batching"] == ({"instances": 1} if written["best"] else None)
    assert (small / "model.yaml").read_text() == before
    assert ("was not written" in done.stderr) == bool(written["best"])


def test_ctrl_c_ends_it_with_what_was_measured(small: Path) -> None:
    command = [sys.executable, "-m", "cli", "tune", str(small), *QUICK, "--budget", "3600", "--seconds", "300"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    said = ""
    while "s left" not in said.partition("which batches pay")[2].partition("\n")[2]:
        line = process.stderr.readline()
        assert line, said
        said += line
    process.send_signal(signal.SIGINT)
    stdout, rest = process.communicate(timeout=60)

    assert process.returncode == 130, said + rest
    assert "Ended before anything was measured" in rest
    assert not stdout
    assert "Traceback" not in rest


def test_a_model_that_cannot_be_loaded_is_said_in_the_predictors_words(tmp_path: Path) -> None:
    broken = graphs.directory(tmp_path / "broken", b"no graph", LABELS)

    done = run(broken, *QUICK)

    assert done.exit_code == 1
    assert "MODEL_LOAD_FAILED" in done.stderr
    assert str(broken / "model.onnx") in done.stderr


def test_a_repository_is_asked_for_one_of_its_models(small: Path, tmp_path: Path) -> None:
    shutil.copytree(small, tmp_path / "repository" / "small" / "1")

    done = run(tmp_path / "repository", *QUICK)

    assert done.exit_code == 1
    assert f"such as {tmp_path / 'repository' / 'small' / '1'}" in done.stderr


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda _folder: None, "neither a folder here nor a demo model"),
        (lambda folder: folder.mkdir(), "does not exist: a model directory holds model.yaml"),
        (lambda folder: (folder.mkdir(), (folder / "model.onnx").touch()), "has no model.yaml"),
        (lambda folder: (folder.mkdir(), (folder / "model.yaml").write_text("[]")), "where keys are expected"),
    ],
)
def test_what_is_no_model_directory_is_said(tmp_path: Path, make: object, said: str) -> None:
    assert callable(make)
    make(tmp_path / "there")

    done = run(tmp_path / "there", *QUICK)

    assert done.exit_code == 1
    assert said in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("--p99", "0"),
        ("--p99", "nan"),
        ("--budget", "inf"),
        ("--budget", "0"),
        ("--device", "abacus"),
        ("--engine", "steam"),
        ("--engine", "openvino:int3"),
        ("--seconds", "100000"),
    ],
)
def test_an_option_that_makes_no_sense_is_a_usage_error(small: Path, arguments: tuple[str, ...]) -> None:
    assert run(small, *arguments).exit_code == 2


def test_a_demo_models_own_contract_is_not_written() -> None:
    done = run("efficientnet-lite0", "--write")

    assert done.exit_code == 2
    assert "models pull" in done.stderr
