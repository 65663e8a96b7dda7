"""Health and metadata over gRPC."""

from __future__ import annotations

import grpc
import pytest

from .answers import ModelMetadata
from .messages import pb
from .rest import RestServer, read_object
from .rpc import RpcServer

pytestmark = pytest.mark.needs("grpc")

UNKNOWN = "no-such-model"
UNKNOWN_VERSION = "987654321"


def test_a_live_server_says_so(rpc: RpcServer) -> None:
    assert rpc.call("ServerLive", pb.ServerLiveRequest()).live


def test_a_ready_server_says_so(rpc: RpcServer) -> None:
    assert rpc.call("ServerReady", pb.ServerReadyRequest()).ready


def test_a_ready_model_says_so(rpc: RpcServer) -> None:
    assert rpc.call("ModelReady", pb.ModelReadyRequest(name=rpc.target.model)).ready


@pytest.mark.needs("versions")
def test_a_ready_version_says_so(rpc: RpcServer, version: str) -> None:
    assert rpc.call("ModelReady", pb.ModelReadyRequest(name=rpc.target.model, version=version)).ready


def test_an_unknown_model_is_not_ready(rpc: RpcServer) -> None:
    assert_not_ready(rpc, pb.ModelReadyRequest(name=UNKNOWN))


@pytest.mark.needs("versions")
def test_an_unknown_version_is_not_ready(rpc: RpcServer) -> None:
    assert_not_ready(rpc, pb.ModelReadyRequest(name=rpc.target.model, version=UNKNOWN_VERSION))


def test_server_metadata_is_the_same_over_rest(rpc: RpcServer, rest: RestServer) -> None:
    said = rpc.call("ServerMetadata", pb.ServerMetadataRequest())
    body = read_object(rest.get("/v2"))
    assert (said.name, said.version, list(said.extensions)) == (body["name"], body["version"], body["extensions"])


def test_model_metadata_names_the_model_as_over_rest(rpc: RpcServer, metadata: ModelMetadata) -> None:
    said = rpc.call("ModelMetadata", pb.ModelMetadataRequest(name=rpc.target.model))
    assert (said.name, said.platform, tuple(said.versions)) == (metadata.name, metadata.platform, metadata.versions)


@pytest.mark.parametrize("side", ["inputs", "outputs"])
def test_model_metadata_describes_the_tensors_as_over_rest(rpc: RpcServer, metadata: ModelMetadata, side: str) -> None:
    said = rpc.call("ModelMetadata", pb.ModelMetadataRequest(name=rpc.target.model))
    tensors = [(spec.name, spec.datatype, tuple(spec.shape)) for spec in getattr(said, side)]
    assert tensors == [(spec.name, spec.datatype, spec.shape) for spec in getattr(metadata, side)]


@pytest.mark.needs("versions")
def test_a_version_has_the_metadata_of_its_model(rpc: RpcServer, metadata: ModelMetadata, version: str) -> None:
    said = rpc.call("ModelMetadata", pb.ModelMetadataRequest(name=rpc.target.model, version=version))
    assert [spec.name for spec in said.inputs] == [spec.name for spec in metadata.inputs]


@pytest.mark.parametrize("name", [UNKNOWN, ""])
def test_an_unknown_model_has_no_metadata(rpc: RpcServer, name: str) -> None:
    assert rpc.refusal("ModelMetadata", pb.ModelMetadataRequest(name=name)) in not_found_or_invalid(name)


@pytest.mark.needs("versions")
def test_an_unknown_version_has_no_metadata(rpc: RpcServer) -> None:
    request = pb.ModelMetadataRequest(name=rpc.target.model, version=UNKNOWN_VERSION)
    assert rpc.refusal("ModelMetadata", request) in not_found_or_invalid("")


def assert_not_ready(rpc: RpcServer, request: pb.ModelReadyRequest) -> None:
    """The answer is no, or that there is nothing to be ready."""
    try:
        response = rpc.call("ModelReady", request)
    except grpc.RpcError as refused:
        assert refused.code() == grpc.StatusCode.NOT_FOUND, refused.code()  # noqa: PT017 - a lawful answer of two
    else:
        assert not response.ready


def not_found_or_invalid(name: str) -> set[grpc.StatusCode]:
    """No name at all may also be called invalid, and so may a version that is no number to the server."""
    return {grpc.StatusCode.NOT_FOUND} if name else {grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT}
