"""Health and metadata over REST."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import httpx
import pytest

from .answers import ModelMetadata
from .rest import CLIENT_ERRORS, RestServer, assert_error_object, brief, read_object
from .tensors import DTYPES

UNKNOWN = "no-such-model"
UNKNOWN_VERSION = "987654321"
BEHIND_A_MODEL = [
    pytest.param("GET", "", id="metadata"),
    pytest.param("GET", "/ready", id="ready"),
    pytest.param("POST", "/infer", id="infer"),
]


def assert_true_where_said(response: httpx.Response, *names: str) -> None:
    """The status is the answer; older servers send no body, newer ones say it again in JSON."""
    assert response.status_code == HTTPStatus.OK, brief(response)
    if response.content:
        body = read_object(response)
        assert all(body[name] is True for name in names if name in body)


def test_server_metadata_names_the_server_its_version_and_its_extensions(rest: RestServer) -> None:
    body = read_object(rest.get("/v2"))
    assert isinstance(body["name"], str)
    assert isinstance(body["version"], str)
    assert all(isinstance(extension, str) for extension in body["extensions"])


@pytest.mark.needs("binary")
def test_server_metadata_lists_the_binary_extension(rest: RestServer) -> None:
    assert "binary_tensor_data" in read_object(rest.get("/v2"))["extensions"]


def test_a_live_server_says_so(rest: RestServer) -> None:
    assert_true_where_said(rest.get("/v2/health/live"), "live")


def test_a_ready_server_says_so(rest: RestServer) -> None:
    assert_true_where_said(rest.get("/v2/health/ready"), "live", "ready")


def test_a_ready_model_says_so(rest: RestServer) -> None:
    assert_true_where_said(rest.get(f"{rest.model_path()}/ready"), "ready")


def test_a_ready_model_is_named_where_there_is_a_body(rest: RestServer) -> None:
    response = rest.get(f"{rest.model_path()}/ready")
    if response.content:
        assert read_object(response)["name"] == rest.target.model


def test_model_metadata_names_the_model_and_its_platform(rest: RestServer) -> None:
    body = read_object(rest.get(rest.model_path()))
    assert body["name"] == rest.target.model
    assert isinstance(body["platform"], str)


def test_model_metadata_lists_versions_as_strings_if_at_all(rest: RestServer) -> None:
    body = read_object(rest.get(rest.model_path()))
    assert all(isinstance(version, str) for version in body.get("versions") or [])


@pytest.mark.parametrize("side", ["inputs", "outputs"])
def test_model_metadata_describes_every_tensor(rest: RestServer, side: str) -> None:
    tensors: list[dict[str, Any]] = read_object(rest.get(rest.model_path()))[side]
    assert tensors
    for tensor in tensors:
        assert tensor["name"]
        assert tensor["datatype"] in {*DTYPES, "BF16"}
        assert all(type(size) is int and size >= -1 for size in tensor["shape"])


@pytest.mark.parametrize("side", ["inputs", "outputs"])
def test_no_two_tensors_have_one_name(rest: RestServer, side: str) -> None:
    names = [tensor["name"] for tensor in read_object(rest.get(rest.model_path()))[side]]
    assert len(set(names)) == len(names)


@pytest.mark.needs("versions")
def test_a_version_has_the_metadata_of_its_model(rest: RestServer, metadata: ModelMetadata, version: str) -> None:
    body = read_object(rest.get(rest.model_path(version=version)))
    assert body["name"] == metadata.name
    assert [tensor["name"] for tensor in body["inputs"]] == [spec.name for spec in metadata.inputs]


@pytest.mark.needs("versions")
def test_a_version_says_that_it_is_ready(rest: RestServer, version: str) -> None:
    assert_true_where_said(rest.get(f"{rest.model_path(version=version)}/ready"), "ready")


@pytest.mark.parametrize(("method", "tail"), BEHIND_A_MODEL)
@pytest.mark.parametrize("version", [None, pytest.param("1", marks=pytest.mark.needs("versions"))])
def test_an_unknown_model_is_not_found(
    rest: RestServer, valid_body: bytes, method: str, tail: str, version: str | None
) -> None:
    path = rest.model_path(model=UNKNOWN, version=version) + tail
    response = ask(rest, method, path, valid_body)
    if tail == "/ready" and not rest.target.offers("strict"):
        assert response.status_code in CLIENT_ERRORS  # a probe: its body is nobody's business
    else:
        rest.assert_refused(response, statuses=(404,), promised=(404,))


@pytest.mark.needs("versions")
@pytest.mark.parametrize(("method", "tail"), BEHIND_A_MODEL)
def test_an_unknown_version_is_not_found(rest: RestServer, valid_body: bytes, method: str, tail: str) -> None:
    response = ask(rest, method, rest.model_path(version=UNKNOWN_VERSION) + tail, valid_body)
    if tail == "/ready" and not rest.target.offers("strict"):
        assert response.status_code in CLIENT_ERRORS
    else:
        rest.assert_refused(response, promised=(404,))


def test_model_names_are_case_sensitive(rest: RestServer) -> None:
    swapped = rest.target.model.swapcase()
    if swapped == rest.target.model:
        pytest.skip("the model's name has no letters")
    rest.assert_refused(rest.get(rest.model_path(model=swapped)), statuses=(404,), promised=(404,))


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v2"),
        ("POST", "/v2/health/live"),
        ("POST", "/v2/health/ready"),
        ("POST", "/v2/models/{model}"),
        ("POST", "/v2/models/{model}/ready"),
        ("GET", "/v2/models/{model}/infer"),
        ("PUT", "/v2/models/{model}/infer"),
        ("DELETE", "/v2/models/{model}"),
    ],
)
def test_a_wrong_method_is_not_allowed(rest: RestServer, method: str, path: str) -> None:
    response = rest.http.request(method, path.format(model=rest.target.model))
    assert response.status_code == HTTPStatus.METHOD_NOT_ALLOWED, brief(response)
    if rest.target.offers("strict"):
        assert_error_object(response)


@pytest.mark.parametrize("path", ["/no-such-path", "/v2/no-such-path", "/v2/models/{model}/no-such-path"])
def test_an_unknown_path_is_not_found(rest: RestServer, path: str) -> None:
    response = rest.get(path.format(model=rest.target.model))
    assert response.status_code == HTTPStatus.NOT_FOUND, brief(response)
    if rest.target.offers("strict"):
        assert response.json()


def ask(rest: RestServer, method: str, path: str, body: bytes) -> httpx.Response:
    content = body if method == "POST" else None
    headers = {"content-type": "application/json"} if content else None
    return rest.http.request(method, path, content=content, headers=headers)
