"""What is wrong with a command line is said in plain words, and before anything is done."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from bench.__main__ import bench as whole_bench
from cli.main import app
from cli.outputs import check_outputs

NOBODY = "http://127.0.0.1:9"


def run(*arguments: object) -> Result:
    words = [str(argument) for argument in arguments]
    return CliRunner().invoke(app, words, env={"COLUMNS": "400", "TERM": "dumb"})


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("tune", "m", "--budget", "0"), "'--budget': 0: 1 or more is expected"),
        (("tune", "m", "--seconds", "1e9"), "'--seconds': 1e9: 600 or less is expected"),
        (("tune", "m", "--p99", "nan"), "'--p99': nan: a number is expected"),
        (("bench", "--timeout", "soon"), "'--timeout': soon: a number is expected"),
        (("bench", "--max-outstanding", "1.5"), "'--max-outstanding': 1.5: a whole number is expected"),
        (("bench", "--protocol", "http2"), "'http2' is not one of 'http'"),
        (("predict", __file__, "--top-k", "0"), "'--top-k': 0: 1 or more is expected"),
    ],
)
def test_a_value_that_is_out_of_bounds_is_said_with_the_bound(arguments: tuple[str, ...], said: str) -> None:
    done = run(*arguments)

    assert done.exit_code == 2
    assert said in done.stderr
    assert "Input should" not in done.stderr


@pytest.mark.parametrize("command", [("bench", "--url", NOBODY), ("tune", "efficientnet-lite0")])
@pytest.mark.parametrize(
    ("option", "name", "said"),
    [
        ("--plot", "plot.jpg", "a name that ends with .png is expected"),
        ("--plot", "file/plot.png", "cannot be written"),
        ("--out", "file/report.json", "cannot be written"),
        ("--out", ".", "is a directory"),
        ("--out", "/proc/report.json", "cannot be written"),
    ],
)
def test_a_file_that_could_not_be_written_is_refused_before_any_load(
    tmp_path: Path, command: tuple[str, ...], option: str, name: str, said: str
) -> None:
    (tmp_path / "file").write_text("in the way")

    done = run(*command, option, tmp_path / name)

    assert done.exit_code == 2
    assert said in done.stderr
    assert "does not answer" not in done.stderr


def test_one_file_is_not_both_report_and_plot(tmp_path: Path) -> None:
    done = run("bench", "--url", NOBODY, "--out", tmp_path / "a.png", "--plot", tmp_path / "b" / ".." / "a.png")

    assert done.exit_code == 2
    assert "give each a file of its own" in done.stderr


def test_a_check_leaves_no_file_and_an_old_one_as_it_is(tmp_path: Path) -> None:
    old = tmp_path / "old.json"
    old.write_text("before")

    check_outputs(old, tmp_path / "new" / "plot.PNG")

    assert old.read_text() == "before"
    assert not list((tmp_path / "new").iterdir())


def test_a_device_may_be_written_to() -> None:
    check_outputs(Path("/dev/null"))


def test_the_report_of_the_whole_benchmark_is_checked_first(tmp_path: Path) -> None:
    with pytest.raises(typer.BadParameter, match="--out"):
        whole_bench(out=tmp_path)


def test_ports_that_none_has_are_refused() -> None:
    for port in (0, 65536, 99999):
        done = run("bench", "--url", f"http://127.0.0.1:{port}")
        assert done.exit_code == 1
        assert "is no address" in done.stderr
