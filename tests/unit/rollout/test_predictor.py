"""Which model a predictor names."""

from __future__ import annotations

import pytest

from rollout import NotPossible
from rollout.predictor import check_uri, implementation, uri_of, with_uri

MODEL = {"model": {"modelFormat": {"name": "onnx"}, "storageUri": "s3://m/1", "runtime": "kserve-vision"}}
CONTAINER = {"containers": [{"name": "kserve-container", "env": [{"name": "STORAGE_URI", "value": "s3://m/1"}]}]}


@pytest.mark.parametrize("predictor", [MODEL, CONTAINER], ids=["model", "container"])
def test_another_uri_changes_nothing_else_and_not_the_original(predictor: dict[str, object]) -> None:
    changed = with_uri(predictor, "s3://m/2")
    assert (uri_of(predictor), uri_of(changed)) == ("s3://m/1", "s3://m/2")
    assert with_uri(changed, "s3://m/1") == predictor


@pytest.mark.parametrize(
    "predictor",
    [{}, {"model": {"storage": {"key": "k"}}}, {"containers": [{"name": "other", "env": []}]}, {"storageUris": [{}]}],
)
def test_a_predictor_that_names_its_model_otherwise_is_refused(predictor: dict[str, object]) -> None:
    assert uri_of(predictor) == ""
    with pytest.raises(NotPossible, match="neither"):
        with_uri(predictor, "s3://m/2")


def test_a_candidates_implementation_is_the_model_or_the_containers_alone() -> None:
    assert implementation(MODEL | {"minReplicas": 3, "timeout": 5}) == MODEL


@pytest.mark.parametrize("uri", ["", "models/2", "s3://", "s3://a b", "://x", "s3:/x"])
def test_what_is_no_storage_uri_is_refused(uri: str) -> None:
    with pytest.raises(NotPossible, match="no storage URI"):
        check_uri(uri)
