"""The description that /docs shows: every route, with a body to try where one is wanted."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.servers import RunningPair


@pytest.fixture(scope="module")
def paths(pair: RunningPair) -> dict[str, Any]:
    described: dict[str, Any] = httpx.get(f"{pair.transformer.url}/openapi.json", timeout=30).json()["paths"]
    return described


@pytest.mark.parametrize("path", ["/predict", "/predict/batch", "/v2/models/{name}/infer", "/v1/models/{name}:predict"])
def test_a_route_that_takes_a_body_says_so(paths: dict[str, Any], path: str) -> None:
    assert paths[path]["post"]["requestBody"]["content"]


def test_predict_names_its_query_parameters(paths: dict[str, Any]) -> None:
    named = {p["name"] for p in paths["/predict"]["post"]["parameters"]}
    assert named >= {"model", "version", "top_k", "confidence_threshold"}


def test_no_route_promises_an_error_that_is_never_answered(paths: dict[str, Any]) -> None:
    assert not [path for path, operations in paths.items() for o in operations.values() if "422" in o["responses"]]


def test_the_page_is_there(pair: RunningPair) -> None:
    assert "swagger" in httpx.get(f"{pair.transformer.url}/docs", timeout=30).text.lower()
