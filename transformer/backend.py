"""The predictor as this transformer knows it: what it takes and gives, and whether its contract is ours."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from serving.call import Call
from serving.contract import ModelDirectory
from serving.errors import ContractMismatch, ModelNotReady, PredictorFault
from serving.log import get_logger
from serving.metrics import Metrics
from serving.queue import WorkQueue
from serving.v2 import InferRequest, InferResponse, TensorSpec
from serving.v2.message import RequestedOutput
from serving.v2.priority import PRIORITY
from serving.v2.tensor import Array
from transformer.client import PredictorClient, PredictorInput
from transformer.pictures import to_model_input
from transformer.reading import OutputReader

logger = get_logger(__name__)

CONTRACT_PARAMETER = "contract"
"""The parameter of our predictor's answers that carries the digest of its contract; a foreign server has none."""

HEADROOM_BYTES = 64 * 1024
"""What a message needs beside its tensor: names, ids, headers."""

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Predicted:
    """What the model gives for some pictures: the decoder's outputs, without their first axis and read-only, for each
    picture.
    """

    pictures: list[dict[str, Array]]
    model_version: str


@dataclass(frozen=True, slots=True)
class Met:
    """What is known of the predictor: what it takes, and what it gives."""

    input: PredictorInput
    reader: OutputReader
    outputs: tuple[TensorSpec, ...]
    """As its metadata lists them."""


class Backend:
    """Sends pixels to a predictor in the form that it takes, and brings back the decoder's outputs."""

    def __init__(  # noqa: PLR0913  # the parts it is made of
        self,
        client: PredictorClient,
        model_name: str,
        directory: ModelDirectory,
        *,
        queue: WorkQueue,
        metrics: Metrics,
        max_message_bytes: int,
        model_version: str | None = None,
    ) -> None:
        self._client = client
        self._model_name = model_name
        self._model_version = model_version
        self._directory = directory
        self._decoder = directory.decoder()
        self._queue = queue
        self._mismatches = metrics.contract_mismatches.labels(model_name)
        self._max_tensor_bytes = max_message_bytes - HEADROOM_BYTES
        self._met: Met | None = None
        self._meeting = asyncio.Lock()
        self._is_mismatched = False

    async def meet(self, call: Call) -> None:
        """Learn what the predictor takes and gives.

        Raises:
            PredictorUnavailable: it is not there, or not ready.
            ModelNotReady: it takes something that the contract does not make, or gives what it cannot read.
        """
        await self._client.check_ready(self._model_name, call, self._model_version)
        self._met = await self._ask(call)

    async def check(self, call: Call) -> None:
        """Raise the reason why nothing should be sent now: it is not ready, or its contract is another."""
        await self._client.check_ready(self._model_name, call, self._model_version)
        if self._is_mismatched:
            await self.infer([np.zeros((*self._directory.contract.input.largest_size, 3), np.uint8)], call)

    async def infer(self, pictures: Sequence[Pixels], call: Call) -> Predicted:
        """Run the model on pictures, each `[height, width, 3]`; those of one size travel together.

        A predictor that refuses them is asked anew what it takes and gives, since it may have been replaced by one that
        is fused otherwise, and gets them once more if that has changed.

        Raises:
            ContractMismatch: it serves another contract than this transformer decodes with.
            PredictorFault: it refuses them, or its outputs cannot be read.
            ServingError: of the client.
        """
        sizes: dict[tuple[int, ...], list[int]] = {}
        for place, picture in enumerate(pictures):
            sizes.setdefault(picture.shape, []).append(place)
        predicted: list[dict[str, Array]] = [{}] * len(pictures)
        version = ""
        for places in sizes.values():
            pixels = [pictures[place] for place in places]
            some = await self._infer(pixels[0][None] if len(pixels) == 1 else np.stack(pixels), call)
            version = some.model_version
            for place, outputs in zip(places, some.pictures, strict=True):
                predicted[place] = outputs
        return Predicted(predicted, version)

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """The predictor's outputs, once it was met."""
        return self._met.outputs if self._met else ()

    async def close(self) -> None:
        """Close the connection."""
        await self._client.close()

    async def _infer(self, pixels: Pixels, call: Call) -> Predicted:
        known = self._met
        if known is None:
            raise ModelNotReady("the predictor has not been met yet")
        try:
            return await self._infer_as(known, pixels, call)
        except PredictorFault as fault:
            if not fault.details.get("refused") or not await self._has_changed(known, call):
                raise
        assert self._met is not None  # noqa: S101  # never unset
        return await self._infer_as(self._met, pixels, call)

    async def _infer_as(self, known: Met, pixels: Pixels, call: Call) -> Predicted:
        array: Array = pixels
        if known.input.takes_numbers:
            array = await self._queue.run(call, partial(to_model_input, pixels, self._directory.contract.input))
        rows = max(1, self._max_tensor_bytes // (array.nbytes // len(array))) if known.reader.takes_rows else 1
        pictures: list[dict[str, Array]] = []
        version = ""
        for start in range(0, len(array), rows):
            part = array[start : start + rows]
            response = await self._send(part, known, call)
            version = response.model_version
            read = known.reader.read(response, len(part))
            for values in read.values():
                values.flags.writeable = False  # several answers may be made of them
            pictures += [{name: values[row] for name, values in read.items()} for row in range(len(part))]
        return Predicted(pictures, version)

    async def _send(self, array: Array, known: Met, call: Call) -> InferResponse:
        request = InferRequest(
            model_name=self._model_name,
            model_version=self._model_version,
            inputs=known.input.tensors(array, self._directory.contract),
            id=call.request_id,
            parameters={PRIORITY: 1} if call.urgent else {},
            outputs=tuple(RequestedOutput(name) for name in dict.fromkeys(known.reader.names.values())),
        )
        began = time.perf_counter()
        response = await self._client.infer(request, call)
        _note_stages(response, time.perf_counter() - began, call)
        self._check_contract(response)
        return response

    def _check_contract(self, response: InferResponse) -> None:
        theirs, ours = response.parameters.get(CONTRACT_PARAMETER), self._directory.digest
        if theirs is None or theirs == ours:
            self._is_mismatched = False
            return
        self._mismatches.inc()
        logger.error("contract mismatch", model=self._model_name, predictor=theirs, transformer=ours)
        self._is_mismatched = True
        raise ContractMismatch(
            f"the predictor serves the contract {str(theirs)[:12]}, this transformer decodes with {ours[:12]}: give "
            "both the same model directory",
            retry_after_s=5,
        )

    async def _has_changed(self, used: Met, call: Call) -> bool:
        """Ask the predictor again what it takes and gives; of many requests that want to know, one asks."""
        async with self._meeting:
            if self._met is used:
                self._met = await self._ask(call)
                if self._met != used:
                    logger.warning(
                        "another predictor",
                        model=self._model_name,
                        input=str(self._met.input.tensor),
                        outputs=list(self._met.reader.names.values()),
                    )
        return self._met != used

    async def _ask(self, call: Call) -> Met:
        metadata = await self._client.metadata(self._model_name, call, self._model_version)
        return Met(
            PredictorInput.of(metadata, self._directory.contract),
            OutputReader.of(metadata, self._decoder),
            metadata.outputs,
        )


def _note_stages(response: InferResponse, seconds: float, call: Call) -> None:
    """Part the seconds of a request to a predictor of ours into its queue, its runs and the wire."""
    waited, ran = response.timings.get("queue"), response.timings.get("compute")
    # What is told must be possible: it may be another server's, which means something else.
    if waited is not None and ran is not None and min(waited, ran) >= 0 and waited + ran <= seconds:
        call.add_stage("predictor_queue", waited)
        call.add_stage("compute", ran)
        call.add_stage("wire", max(0.0, seconds - waited - ran))
