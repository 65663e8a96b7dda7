"""A device that is lost ends the process' life: every door says so, whichever model met it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import httpx
import pytest
import pytest_asyncio

from serving.errors import DeviceLost
from serving.metrics import Metrics
from serving.sdk import pb
from serving.server.body import Bodies
from serving.server.dataplane import VisionDataPlane
from serving.server.edge import VisionApp
from serving.server.grpc import InferenceService
from serving.server.life import Useless, VisionServer
from serving.server.repository import VisionRepository
from serving.server.routes import ProtocolRoutes
from serving.settings import ServerSettings

from .idle import Idle

LOST = "CUDA failure 700: an illegal memory access was encountered"


@pytest_asyncio.fixture
async def dataplane(tmp_path: Path) -> AsyncIterator[VisionDataPlane]:
    (tmp_path / "model.yaml").write_text("opens")
    repository = VisionRepository(tmp_path, "m", Idle, Metrics("test"))
    await repository.register()
    await asyncio.gather(*repository.open())
    yield VisionDataPlane(repository)


async def test_a_server_that_has_lost_its_device_is_neither_live_nor_ready(dataplane: VisionDataPlane) -> None:
    bodies = Bodies(1, 1, Metrics("test"))
    app = VisionApp("test", "1", dataplane, bodies)
    app.include_router(ProtocolRoutes(dataplane, Metrics("test"), bodies, ServerSettings()).router())
    service = InferenceService(dataplane, Metrics("test"), ServerSettings())
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        for path in ("/v2/health/live", "/v2/health/ready", "/v2/models/m/ready"):
            assert (await client.get(path)).status_code == 200

        (model,) = dataplane.repository.all()
        model.latest.lost = DeviceLost(LOST)

        for path in ("/v2/health/live", "/v2/health/ready", "/v2/models/m/ready"):
            answer = await client.get(path)
            assert (answer.status_code, answer.json()) == (503, {"error": f"DEVICE_LOST: {LOST}"})
        assert (await client.get("/health")).status_code == 200
    live = await service.server_live(pb.ServerLiveRequest(), None)  # type: ignore[arg-type]  # it asks nothing of it
    assert live.live is False
    assert grpc.StatusCode.UNAVAILABLE is DeviceLost.grpc_status


async def test_a_server_that_may_ends_with_the_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.server.life.LOOK_S", 0.01)
    (tmp_path / "model.yaml").write_text("opens")
    settings = ServerSettings(model_dir=tmp_path, host="127.0.0.1", http_port=0, grpc_port=0, exit_when_useless=True)
    server = VisionServer(settings, Metrics("test"), "test", Idle)
    serving = asyncio.create_task(server.serve())
    async with asyncio.timeout(20):
        while not await server.dataplane.ready():  # noqa: ASYNC110  # a state tells nobody
            await asyncio.sleep(0.01)
        (model,) = server.repository.all()
        model.latest.lost = DeviceLost(LOST)

        with pytest.raises(Useless, match="DEVICE_LOST: CUDA failure 700"):
            await serving
