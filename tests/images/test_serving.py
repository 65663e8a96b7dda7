"""The servers in their containers answer as they do outside."""

from __future__ import annotations

import json

import pytest

from tests.e2e.doors import DOORS, Client, Door

from .containers import Container, image_inspect, image_of


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)
def test_a_picture_of_a_cat_is_a_tiger_cat(client: Client, cat: bytes, door: Door) -> None:
    answer = door(client, cat)

    assert (answer.is_ok, answer.label) == (True, "tiger cat")


def test_it_is_live_and_ready(server: Container) -> None:
    assert server.ask("/v2/health/live").status_code == 200
    assert server.ask("/v2/health/ready").status_code == 200
    assert server.ask("/metrics").status_code == 200


def test_the_images_healthcheck_finds_it_alive(server: Container, request: pytest.FixtureRequest) -> None:
    name = request.node.callspec.params["server"]
    kind, *command = image_inspect(image_of(name))["Healthcheck"]["Test"]
    done = server.run(*command)

    assert kind == "CMD", "a shell would run it"
    assert (done.returncode, done.stdout) == (0, "/v2/health/live answers 200\n"), done.stderr


def test_it_is_the_first_process_not_root_and_has_no_capability(server: Container) -> None:
    read = 'import json; print(json.dumps(dict(x.rstrip().split(":\\t", 1) for x in open("/proc/1/status"))))'
    status = server.python(read)

    assert set(status["Uid"].split()) == set(status["Gid"].split()) == {"65532"}
    assert {int(status[each], 16) for each in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert status["NoNewPrivs"] == "1"


def test_it_logs_json_lines_and_nothing_else(server: Container) -> None:
    lines = server.logs().splitlines()

    assert all("event" in json.loads(line) for line in lines), lines


def test_no_bytecode_is_missing_of_what_it_imports(server: Container, request: pytest.FixtureRequest) -> None:
    """What is not compiled would be compiled at each start, since the root cannot be written."""
    name = request.node.callspec.params["server"]

    assert server.python(f"import {name}.__main__" + NOT_COMPILED) == []


NOT_COMPILED = """
import json, os, sys
compiled = [getattr(module, "__cached__", None) or "" for module in list(sys.modules.values())]
print(json.dumps([path for path in compiled if path.startswith("/opt") and not os.path.exists(path)]))
"""
