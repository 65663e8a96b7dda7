"""A version that is asked nothing, and that opens when the test says so."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from serving.call import Call
from serving.contract.repository import VersionFolder
from serving.errors import ModelLoadFailed
from serving.server.model import ServedVersion
from serving.v2 import InferRequest, InferResponse, ModelMetadata


class Idle(ServedVersion):
    """What its folder's `model.yaml` says decides: it `fails`, `waits` for ever, `lingers` when that is ended until the
    test lets it go, or opens.
    """

    is_opening = False
    opened = 0
    closed = 0
    is_ending = False

    def __init__(self, folder: VersionFolder) -> None:
        super().__init__(folder)
        self.may_end = asyncio.Event()

    async def open(self, *, patient: bool = True) -> None:
        self.is_opening = True
        text = (self.folder.path / "model.yaml").read_text()
        if "waits" in text:
            await asyncio.Event().wait()
        if "lingers" in text:
            await self._linger()
        if "fails" in text:
            raise ModelLoadFailed(f"{self.folder.path} fails")
        if "bug" in text:
            raise KeyError(text)
        self.opened += 1
        self.patient = patient

    async def _linger(self) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            self.is_ending = True
            await self.may_end.wait()

    async def close(self) -> None:
        self.closed += 1

    def metadata(self) -> ModelMetadata:
        return ModelMetadata(self.name, (self.version,), "", (), ())

    async def infer(self, request: InferRequest, call: Call) -> InferResponse:
        raise NotImplementedError

    async def predict(self, payload: Mapping[str, Any], call: Call) -> dict[str, Any]:
        raise NotImplementedError
