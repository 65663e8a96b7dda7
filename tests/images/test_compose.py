"""docker-compose.yaml is as strict as the containers that the other tests run, and serves."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from serving.settings import ServerSettings
from tests.e2e.doors import Client, raw_body, v2_grpc
from tests.servers import MODEL

from .containers import STRICT, USER, Container, free_ports, image_of

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())
SERVICES = COMPOSE["services"]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_not_root_and_writes_only_to_named_places(name: str) -> None:
    service: dict[str, Any] = SERVICES[name]

    assert service["read_only"] is True
    assert service["user"] == f"{USER}:{USER}"
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "/mnt/models:ro" in service["volumes"][0]
    assert [each.partition(":")[0] for each in service["tmpfs"]] == ["/tmp"]
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_the_time_to_drain(name: str) -> None:
    drain = float(SERVICES[name]["environment"]["DRAIN_DELAY_SECONDS"])
    drain += ServerSettings.model_fields["drain_timeout_seconds"].default

    assert float(SERVICES[name]["stop_grace_period"].removesuffix("s")) > drain


def test_the_transformer_finds_its_predictor_on_the_socket_that_both_mount() -> None:
    path = SERVICES["predictor"]["environment"]["UNIX_SOCKET"]
    host = SERVICES["transformer"]["environment"]["PREDICTOR_HOST"]

    assert host == f"unix://{path}"
    assert all(f"socket:{Path(path).parent}" in SERVICES[name]["volumes"] for name in ("predictor", "transformer"))
    assert f"uid={USER}" in COMPOSE["volumes"]["socket"]["driver_opts"]["o"]


@pytest.mark.parametrize("asked", [["predictor", "transformer"], ["edge"]], ids=["two servers", "one process"])
def test_it_brings_up_what_answers_a_picture(asked: list[str], model_dir: Path, cat: bytes) -> None:
    ports = free_ports()
    environ = {
        **os.environ,
        **{f"{name.upper()}_IMAGE": image_of(name) for name in SERVICES},
        "MODEL_DIR": str(model_dir),
        "MODEL_NAME": MODEL,
        "HTTP_PORT": str(ports.http),
        "GRPC_PORT": str(ports.grpc),
    }
    compose(environ, "--profile=edge", "up", "--detach", *asked)
    try:
        container = Container(f"kserve-vision-tests_{asked[-1]}_1", ports)
        container.wait_ready()
        client = Client(container.as_server())
        assert [raw_body(client, cat).label, v2_grpc(client, cat).label] == ["tiger cat"] * 2
        client.close()
    finally:
        compose(environ, "--profile=edge", "down", "--volumes")


def compose(environ: dict[str, str], *arguments: str) -> None:
    """Run a command of podman-compose, with what podman needs of a machine that is itself confined."""
    runtime = ["--podman-args=--runtime=runc"] if shutil.which("runc") else []
    confined = " ".join(option for option in STRICT if option.startswith(("--ulimit", "--no-healthcheck")))
    command = [
        str(Path(sys.executable).with_name("podman-compose")), "--project-name=kserve-vision-tests",
        *runtime, f"--podman-run-args={confined}", *arguments,
    ]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
