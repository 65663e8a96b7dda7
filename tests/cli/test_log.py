from __future__ import annotations

import io
import json

from rich.console import Console

from cli.log import ReadableLog

REQUEST = {
    "event": "request", "server": "transformer", "level": "info", "time": "2026-01-01T12:00:00.000Z", "code": "OK",
    "protocol": "http", "ms": 1.5, "stages_ms": {"decode": 1.0}, "request_id": "an-id",
}  # fmt: skip


def shown(line: str) -> str:
    written = io.StringIO()
    ReadableLog(Console(file=written, force_terminal=False, width=300))("transformer", line)
    return written.getvalue()


def test_a_request_is_one_line_for_people() -> None:
    assert shown(json.dumps({**REQUEST, "model": "cats"})).split() == (
        ["12:00:00.000", "transformer", "OK", "http", "cats", "1.5", "ms", "(decode", "1)", "an-id"]
    )


def test_a_name_that_a_stranger_made_up_is_shown_and_not_obeyed() -> None:
    forged = "x\n12:00:00.000 transformer OK http admin\x1b[31m forged"

    for line in (json.dumps({**REQUEST, "model": forged}), json.dumps({"event": "odd", "model": forged}), forged):
        text = shown(line)
        assert text.count("\n") == 1
        assert "\x1b" not in text
        assert "\\x0a12:00:00.000" in text
