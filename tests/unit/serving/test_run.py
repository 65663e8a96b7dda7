"""How a server's process ends, and what it leaves behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving.server.life import Useless
from serving.server.run import FAILED, USAGE, run_server
from serving.settings import ServerSettings


async def give_up(_: ServerSettings) -> None:
    raise Useless("no model " + 2000 * "x")


@pytest.fixture
def termination_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "termination-log"
    path.touch()
    monkeypatch.setattr("serving.server.run.TERMINATION_LOG", path)
    return path


def test_why_a_server_ended_by_itself_is_left_where_kubernetes_looks(termination_log: Path) -> None:
    code = run_server("predictor", ServerSettings, give_up, [])

    assert code == FAILED
    assert termination_log.read_text().startswith("predictor: no model xxx")
    assert len(termination_log.read_text()) == 1000


def test_a_wrong_setting_is_left_there_too(termination_log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = run_server("predictor", ServerSettings, give_up, ["--http_port=high"])

    assert code == USAGE
    assert termination_log.read_text().startswith("predictor: http_port is 'high': ")
    assert capsys.readouterr().err.startswith("predictor: http_port is 'high': ")


def test_where_there_is_no_such_file_none_is_made(termination_log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    termination_log.unlink()

    run_server("predictor", ServerSettings, give_up, [])

    assert not termination_log.exists()
    assert "predictor: no model" in capsys.readouterr().err
