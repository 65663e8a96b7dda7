"""What the pod of `helm test` runs, against our real servers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.cluster.charts_releases import Values, one, rendered
from tests.cluster.command_line import CommandLine
from tests.servers import RunningPair, demo_model, running_pair


@pytest.fixture(scope="module")
def pair() -> Iterator[RunningPair]:
    with running_pair(demo_model()) as running:
        yield running


def _asked(command_line: CommandLine, address: str, seconds: str) -> subprocess.CompletedProcess[str]:
    """Run the container's command with this machine's Python, on another address."""
    (container,) = one(rendered(command_line, {}), "Pod")["spec"]["containers"]
    assert container["command"][0] == "/opt/kserve-vision/bin/python"
    command = [sys.executable, *container["command"][1:], container["args"][0], address, seconds]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_it_prints_what_the_model_says_of_a_picture(command_line: CommandLine, pair: RunningPair) -> None:
    done = _asked(command_line, pair.transformer.url, "30")
    assert (done.returncode, done.stderr) == (0, "")
    assert "/predict answers 200" in done.stdout
    assert '"predictions"' in done.stdout


def test_a_model_that_does_not_get_ready_fails_it(command_line: CommandLine) -> None:
    done = _asked(command_line, "http://127.0.0.1:1", "0")
    assert done.returncode == 1
    assert "/v2/health/ready is not ready after 0 s" in done.stderr
    assert "refused" in done.stderr


def test_a_server_that_takes_no_pictures_fails_it(command_line: CommandLine, pair: RunningPair) -> None:
    done = _asked(command_line, pair.predictor.url, "30")
    assert done.returncode == 1
    assert "/predict answers 404" in done.stdout


@pytest.mark.parametrize("values", [{}, {"topology": "separate"}], ids=["collocated", "separate"])
def test_the_network_policy_lets_it_in(command_line: CommandLine, values: Values) -> None:
    found = rendered(command_line, values | {"networkPolicy": {"enabled": True}})
    labels = one(found, "Pod")["metadata"]["labels"]
    peers = one(found, "NetworkPolicy")["spec"]["ingress"][0]["from"]
    named = [each["podSelector"]["matchLabels"].items() for each in peers if "podSelector" in each]
    assert any(each <= labels.items() for each in named)
