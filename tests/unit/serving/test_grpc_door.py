"""The gRPC door: what it lets in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from serving.metrics import Metrics
from serving.sdk import pb
from serving.server.body import Bodies
from serving.server.dataplane import VisionDataPlane
from serving.server.grpc import GrpcDoor, InferenceService
from serving.server.repository import VisionRepository
from serving.settings import ServerSettings

from .idle import Idle

HOST = "127.0.0.1"
PATIENCE_S = 20.0
MIB = 2**20


@pytest.fixture
def metrics() -> Metrics:
    return Metrics("test")


@pytest.fixture
async def channel(tmp_path: Path, metrics: Metrics, request: pytest.FixtureRequest) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to a door that takes so many bytes of messages together."""
    settings = ServerSettings(host=HOST, grpc_port=0)
    dataplane = VisionDataPlane(VisionRepository(tmp_path, "m", Idle, metrics))
    door = GrpcDoor(InferenceService(dataplane, metrics, settings), Bodies(1, request.param, metrics), settings)
    await door.open()
    async with grpc.aio.insecure_channel(f"{HOST}:{door.port}") as channel:
        yield channel
    await door.close(0)


async def refusal(channel: grpc.aio.Channel, size: int) -> grpc.aio.AioRpcError:
    request = pb.ModelInferRequest(model_name="none", raw_input_contents=[bytes(size)])
    ask = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await ask(request.SerializeToString())
    return refused.value


@pytest.mark.parametrize("channel", [MIB], indirect=True)
async def test_messages_are_bounded_together(channel: grpc.aio.Channel, metrics: Metrics) -> None:
    too_many = await refusal(channel, 2 * MIB)
    asked = await refusal(channel, MIB // 2)

    assert too_many.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "(MAX_QUEUE_MB)" in str(too_many.details())
    assert asked.code() is grpc.StatusCode.NOT_FOUND
    assert metrics.registry.get_sample_value("kserve_vision_body_bytes") == 0


@pytest.mark.parametrize("channel", [1], indirect=True)
async def test_small_messages_pass_however_many_others_there_are(channel: grpc.aio.Channel) -> None:
    answer = await channel.unary_unary("/inference.GRPCInferenceService/ServerLive")(b"")
    refused = await refusal(channel, 100)

    assert pb.ServerLiveResponse.FromString(answer).live
    assert refused.code() is grpc.StatusCode.NOT_FOUND


async def test_connections_come_to_their_end_within_the_drains_delay_and_lose_no_call(
    tmp_path: Path, metrics: Metrics
) -> None:
    settings = ServerSettings(host=HOST, grpc_port=0, drain_delay_seconds=0.2)
    dataplane = VisionDataPlane(VisionRepository(tmp_path, "m", Idle, metrics))
    door = GrpcDoor(InferenceService(dataplane, metrics, settings), Bodies(1, MIB, metrics), settings)
    await door.open()
    async with grpc.aio.insecure_channel(f"{HOST}:{door.port}") as channel:
        ask = channel.unary_unary("/inference.GRPCInferenceService/ServerLive")
        await ask(b"")
        ended = asyncio.create_task(channel.wait_for_state_change(grpc.ChannelConnectivity.READY))
        async with asyncio.timeout(PATIENCE_S):
            while not ended.done():
                assert pb.ServerLiveResponse.FromString(await ask(b"")).live
        for _ in range(100):
            assert pb.ServerLiveResponse.FromString(await ask(b"")).live
    await door.close(0)
