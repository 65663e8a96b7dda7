from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

PROGRAM = """
import logging, sys
from serving.call import Call
from serving.errors import ImageCorrupt
from serving.log import configure_logging, get_logger
from serving.metrics import Metrics
from serving.server.observe import Observer

configure_logging(sys.argv[1], sys.argv[2], "transformer")
observer = Observer(Metrics("transformer"))
call = Call("id-1", "http", model_name="m", model_version="1", task="classification", rows=2)
call.add_stage("queue", 0.0012345)
with observer.request(call):
    pass
for failure in (ImageCorrupt("broken"), ZeroDivisionError("over\\nnothing")):
    try:
        with observer.request(Call("id-2", "v2-grpc", model_name="m")):
            raise failure
    except Exception:
        pass
for name in ("kserve", "kserve.trace", "uvicorn.access", "uvicorn.error", "httpx"):
    logging.getLogger(name).info("noise of %s", name)
logging.getLogger("kserve").warning("a %s of a library", "warning")
get_logger("test").debug("detail", odd={1: object})
"""


def lines_of(level: str = "INFO", form: str = "json") -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, level, form], capture_output=True, text=True, timeout=60, check=True
    )
    assert not done.stdout
    return done.stderr.splitlines()


@pytest.fixture(scope="module")
def events() -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines_of()]


def test_every_line_is_one_object_that_names_server_level_and_time(events: list[dict[str, Any]]) -> None:
    for event in events:
        assert event["server"] == "transformer"
        assert event["level"] in {"info", "warning", "error"}
        assert event["time"].endswith("Z")


def test_a_request_is_one_line_with_the_documented_keys(events: list[dict[str, Any]]) -> None:
    request = next(event for event in events if event["event"] == "request")

    del request["time"], request["server"], request["level"]
    assert request.pop("ms") >= 0
    assert request == {
        "event": "request",
        "request_id": "id-1",
        "protocol": "http",
        "model": "m",
        "version": "1",
        "task": "classification",
        "code": "OK",
        "rows": 2,
        "stages_ms": {"queue": 1.23},
    }


def test_a_failed_request_is_one_line_with_its_code(events: list[dict[str, Any]]) -> None:
    codes = [event["code"] for event in events if event["event"] == "request"]

    assert codes == ["OK", "IMAGE_CORRUPT", "INTERNAL"]


def test_a_bug_is_told_with_its_traceback_inside_the_line(events: list[dict[str, Any]]) -> None:
    (bug,) = [event for event in events if event["event"] == "unforeseen"]

    assert (bug["level"], bug["request_id"], bug["error"]) == ("error", "id-2", "ZeroDivisionError")
    assert bug["exception"].splitlines()[-2:] == ["ZeroDivisionError: over", "nothing"]


def test_libraries_are_heard_from_warning_up_in_the_same_form(events: list[dict[str, Any]]) -> None:
    assert not [event for event in events if "noise" in event["event"]]
    assert [event["level"] for event in events if event["event"] == "a warning of a library"] == ["warning"]


def test_at_warning_there_is_no_line_for_a_request() -> None:
    assert not [line for line in lines_of("WARNING") if '"event":"request"' in line]


def test_at_debug_odd_values_are_written_all_the_same() -> None:
    assert [json.loads(line)["odd"] for line in lines_of("DEBUG") if '"detail"' in line] == [{"1": "<class 'object'>"}]


def test_the_console_form_is_for_people() -> None:
    lines = lines_of(form="console")

    assert any("id-1" in line and not line.startswith("{") for line in lines)


def test_a_reader_that_comes_late_is_told_how_many_lines_it_missed() -> None:
    program = (
        PROGRAM
        + """
for number in range(20_000):
    with observer.request(Call(str(number), "http", model_name="m")):
        pass
print("all said", flush=True)
"""
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, "INFO", "json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "all said\n"
        events = [json.loads(line) for line in process.stderr]

    said = [event for event in events if event["event"] == "request" and event["protocol"] == "http"]
    (lost,) = [event for event in events if event["event"] == "lines were lost"]
    assert (lost["server"], lost["level"]) == ("transformer", "warning")
    assert len(said) + lost["lines"] == 20_000 + 1
