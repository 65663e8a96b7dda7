"""One version of a model, both halves of it: tensors below, pictures above."""

from __future__ import annotations

import asyncio

from edge.client import DirectClient
from edge.settings import EdgeSettings
from predictor.metrics import PredictorMetrics
from predictor.model import PredictorModel
from serving.contract.repository import VersionFolder
from serving.errors import DeviceLost, PredictorFault, ServingError
from serving.queue import WorkQueue
from transformer.model import MISMATCHES, TransformerModel
from transformer.reuse import Reuse


class EdgeModel(TransformerModel):
    """The transformer's version of a model, with the predictor's inside.

    The repository knows only the whole: it is opened from below and closed from above, so that whoever has it borrowed
    has both, and one that fails to load fails with the predictor's own words.
    """

    def __init__(  # noqa: PLR0913  # the parts it is made of
        self,
        settings: EdgeSettings,
        metrics: PredictorMetrics,
        queue: WorkQueue,
        folder: VersionFolder,
        *,
        loads: asyncio.Semaphore,
        reuse: Reuse | None = None,
    ) -> None:
        """Prepare the version of `folder`; `loads` bounds how many are loaded side by side."""
        self._predictor = DirectClient(PredictorModel(settings, metrics, folder, loads=loads))
        super().__init__(settings, metrics, self._predictor, queue, folder, reuse=reuse)

    @property
    def lost(self) -> DeviceLost | None:
        """Set once the predictor's device failed: without it neither half serves."""
        return self._predictor.model.lost

    @lost.setter
    def lost(self, error: DeviceLost | None) -> None:
        self._predictor.model.lost = error

    async def open(self, *, patient: bool = True) -> None:
        """Load the model, and warm the whole path up."""
        await self.open_path(await self._predictor.open(), patient=patient)

    async def close(self) -> None:
        """Let go of both halves, once the runs that were begun have ended."""
        await super().close()
        await self._predictor.close()

    def why_hopeless(self, error: ServingError, *, patient: bool) -> str:  # noqa: ARG002  # nobody will replace the predictor
        """Return why it is no use to wait; where the machine is only busy, it is."""
        if isinstance(error, (PredictorFault, *MISMATCHES)) or not error.retryable:
            return f"the path cannot be warmed up: {error}"
        return ""
