"""A device that is lost ends the process' life: every door says so, whichever model met it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import httpx
import pytest_asyncio

from serving.errors import DeviceLost
from serving.metrics import Metrics
from serving.sdk import pb
from serving.server.body import Bodies
from serving.server.dataplane import VisionDataPlane
from serving.server.edge import VisionApp
from serving.server.grpc import InferenceService
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
