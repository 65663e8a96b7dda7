"""How a container starts and ends, and what it says when it cannot."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.servers import HOST, MODEL

from .containers import Container, ended, free_ports, image_inspect, image_of, running

ALL = ("predictor", "transformer", "edge")
WITH_A_MODEL = ("predictor", "edge")


@pytest.mark.parametrize("name", WITH_A_MODEL)
def test_sigterm_drains_it_and_it_ends_well(name: str, model_dir: Path) -> None:
    flags = [f"--model_name={MODEL}", "--drain_delay_seconds=0.5"]
    with running(name, free_ports(), flags, models=model_dir) as container:
        container.wait_ready()
        container.signal(image_inspect(image_of(name))["Config"]["StopSignal"])
        container.wait_for("/v2/health/ready", 503)

        assert container.wait() == 0
        assert container.events("draining")
        assert container.events("stopped")


def test_sigterm_ends_a_transformer_that_waits_for_its_predictor(model_dir: Path) -> None:
    flags = [f"--model_name={MODEL}", f"--predictor_host={HOST}:{free_ports().http}"]
    with running("transformer", free_ports(), flags, models=model_dir) as container:
        container.wait_for("/v2/health/ready", 503)
        container.signal("SIGTERM")

        assert container.wait() == 0


@pytest.mark.parametrize("name", WITH_A_MODEL)
def test_without_a_model_it_stays_alive_and_says_what_is_missing(name: str) -> None:
    with running(name, free_ports(), []) as container:
        container.wait_for("/v2/health/live", 200)
        answer = container.wait_for("/v2/models/model/ready", 503)
        failed = wait_for_failure(container)

    expected = "/mnt/models/model.yaml does not exist: a model directory holds model.yaml"
    assert (failed["code"], expected in failed["message"]) == ("CONTRACT_INVALID", True)
    assert expected in answer.text


def wait_for_failure(container: Container) -> dict[str, str]:
    while not (events := container.events("load failed")):
        assert container.is_running()
    return events[0]


@pytest.mark.parametrize("name", ALL)
def test_a_flag_that_is_none_ends_it_with_one_clear_line(name: str) -> None:
    done = ended(name, "--http_port=eighty")

    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{name}: ")
    assert "http_port" in line


@pytest.mark.parametrize("name", ALL)
def test_a_port_that_is_taken_ends_it_with_one_clear_line(name: str, edge: Container) -> None:
    done = ended(name, f"--host={HOST}", f"--http_port={edge.ports.http}", "--grpc_port=0")

    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "cannot listen" in line


def test_a_healthcheck_of_a_server_that_does_not_answer_fails(edge: Container) -> None:
    done = edge.run("/opt/kserve-vision/bin/python", "-I", "-c", SILENT)

    assert done.returncode == 1
    assert "port 9 does not answer" in done.stderr


SILENT = """
import runpy, sys
alive = runpy.run_path("/opt/kserve-vision/alive.py")
alive["main"].__globals__["setting"] = lambda command, environ, *names: "9" if "port" in names else None
sys.exit(alive["main"]())
"""
