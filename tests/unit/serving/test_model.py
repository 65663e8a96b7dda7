from __future__ import annotations

import traceback
from collections.abc import Mapping
from typing import Any

import pytest

from serving.call import Call
from serving.errors import ContractInvalid, ModelNotReady, VersionNotFound
from serving.server.model import ServedModel
from serving.v2 import InferRequest, InferResponse, ModelMetadata


class Idle(ServedModel):
    """A model that is asked nothing."""

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    def metadata(self) -> ModelMetadata:
        return ModelMetadata("m", ("3",), "", (), ())

    async def infer(self, request: InferRequest, call: Call) -> InferResponse:
        raise NotImplementedError

    async def predict(self, payload: Mapping[str, Any], call: Call) -> dict[str, Any]:
        raise NotImplementedError


def test_a_failure_that_is_told_often_does_not_grow() -> None:
    model = Idle("m")
    model.failure = ContractInvalid("no")
    lengths = set()
    for _ in range(20):
        with pytest.raises(ContractInvalid) as told:
            model.check_version(None)
        lengths.add(len(traceback.extract_tb(told.value.__traceback__)))
    assert len(lengths) == 1


def test_a_model_that_is_not_ready_says_so_before_anything_of_versions() -> None:
    with pytest.raises(ModelNotReady):
        Idle("m").check_version("1")


def test_a_version_that_is_not_served_is_told_with_those_that_are() -> None:
    model = Idle("m")
    model.ready = True
    model.check_version("3")
    model.check_version(None)
    with pytest.raises(VersionNotFound, match="it serves '3'"):
        model.check_version("1")


async def test_the_sdks_own_way_to_a_model_is_closed() -> None:
    with pytest.raises(NotImplementedError):
        await Idle("m")({}, headers={})
