"""A model with several versions: each can be asked by its name, and the largest where none is named."""

from __future__ import annotations

from http import HTTPStatus

import grpc
import pytest

from .answers import ModelMetadata
from .messages import pb
from .rest import RestServer, brief, document, read_answer, read_object
from .rpc import RpcServer
from .tensors import Tensor

OWN = ("predictor of versions", "transformer of versions")

pytestmark = [pytest.mark.needs("several-versions"), pytest.mark.usefixtures("still_serves")]

NO_VERSIONS = ["0", "01", "-1", "+1", "1e0", "1.0", " 1", "1 ", "\u0661", "latest", "1;2", "9" * 30, "v" * 2000]


@pytest.fixture
def versions(metadata: ModelMetadata) -> tuple[str, ...]:
    """All versions, the largest last."""
    return tuple(sorted(metadata.versions, key=int))


def test_metadata_lists_several_versions_whatever_way_it_is_asked(rest: RestServer, versions: tuple[str, ...]) -> None:
    assert len(versions) > 1
    for version in versions:
        assert set(read_object(rest.get(rest.model_path(version=version)))["versions"]) == set(versions)


@pytest.mark.needs("grpc")
def test_metadata_lists_several_versions_over_grpc(rpc: RpcServer, versions: tuple[str, ...]) -> None:
    for version in ("", *versions):
        request = pb.ModelMetadataRequest(name=rpc.target.model, version=version)
        assert set(rpc.call("ModelMetadata", request).versions) == set(versions)


def test_each_version_is_ready(rest: RestServer, versions: tuple[str, ...]) -> None:
    for version in versions:
        assert rest.get(f"{rest.model_path(version=version)}/ready").status_code == HTTPStatus.OK


@pytest.mark.needs("grpc")
def test_each_version_is_ready_over_grpc(rpc: RpcServer, versions: tuple[str, ...]) -> None:
    for version in versions:
        assert rpc.call("ModelReady", pb.ModelReadyRequest(name=rpc.target.model, version=version)).ready


def test_each_version_answers_and_is_named(rest: RestServer, inputs: list[Tensor], versions: tuple[str, ...]) -> None:
    for version in versions:
        answer = read_answer(rest.infer(document(inputs), version=version))
        assert (answer.model_name, answer.model_version) == (rest.target.model, version)


@pytest.mark.needs("grpc")
def test_each_version_answers_and_is_named_over_grpc(
    rpc: RpcServer, inputs: list[Tensor], versions: tuple[str, ...]
) -> None:
    for version in versions:
        request = rpc.any(inputs)
        request.model_version = version
        assert rpc.answer(request).model_version == version


def test_the_largest_version_answers_where_none_is_named(
    rest: RestServer, inputs: list[Tensor], versions: tuple[str, ...]
) -> None:
    assert rest.answer(inputs).model_version == versions[-1]


@pytest.mark.needs("grpc")
def test_the_largest_version_answers_where_none_is_named_over_grpc(
    rpc: RpcServer, inputs: list[Tensor], versions: tuple[str, ...]
) -> None:
    assert rpc.answer(rpc.any(inputs)).model_version == versions[-1]


@pytest.mark.parametrize("version", NO_VERSIONS, ids=lambda version: repr(version[:8]))
@pytest.mark.parametrize("tail", ["", "/ready", "/infer"])
def test_what_is_no_version_is_not_found(rest: RestServer, valid_body: bytes, version: str, tail: str) -> None:
    path = rest.model_path(version=version) + tail
    response = rest.post(valid_body, version=version) if tail == "/infer" else rest.get(path)
    rest.assert_refused(response, promised=(HTTPStatus.NOT_FOUND,))
    assert len(response.content) < 500, brief(response)


@pytest.mark.needs("grpc")
@pytest.mark.parametrize("version", NO_VERSIONS, ids=lambda version: repr(version[:8]))
def test_what_is_no_version_is_not_found_over_grpc(rpc: RpcServer, inputs: list[Tensor], version: str) -> None:
    infer = rpc.any(inputs)
    infer.model_version = version
    named = {"name": rpc.target.model, "version": version}
    for method, request in (
        ("ModelInfer", infer),
        ("ModelReady", pb.ModelReadyRequest(**named)),
        ("ModelMetadata", pb.ModelMetadataRequest(**named)),
    ):
        assert rpc.refusal(method, request) in {grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT}
