"""The predictor as this transformer knows it: what it takes, in what portions, and whether its contract is ours."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

import numpy as np
import numpy.typing as npt

from serving.call import Call
from serving.contract import ModelDirectory
from serving.errors import ContractMismatch, ModelNotReady, PredictorFault
from serving.log import get_logger
from serving.metrics import Metrics
from serving.queue import WorkQueue
from serving.v2 import InferRequest, InferResponse, Tensor
from serving.v2.message import RequestedOutput
from serving.v2.tensor import Array
from transformer.client import PredictorClient, PredictorInput
from transformer.pictures import to_model_input

logger = get_logger(__name__)

CONTRACT_PARAMETER = "contract"
"""The parameter of our predictor's answers that carries the digest of its contract; a foreign server has none."""

HEADROOM_BYTES = 64 * 1024
"""What a message needs beside its tensor: names, ids, headers."""

Pixels = npt.NDArray[np.uint8]


class Backend:
    """Sends pixels to a predictor in the form that it takes, and brings back its tensors."""

    def __init__(  # noqa: PLR0913  # the parts it is made of
        self,
        client: PredictorClient,
        model_name: str,
        directory: ModelDirectory,
        *,
        queue: WorkQueue,
        metrics: Metrics,
        max_message_bytes: int,
    ) -> None:
        self._client = client
        self._model_name = model_name
        self._directory = directory
        self._queue = queue
        self._mismatches = metrics.contract_mismatches.labels(model_name)
        self._max_tensor_bytes = max_message_bytes - HEADROOM_BYTES
        self._input: PredictorInput | None = None
        self._meeting = asyncio.Lock()
        self._is_mismatched = False

    async def meet(self, call: Call) -> None:
        """Learn what the predictor takes.

        Raises:
            PredictorUnavailable: it is not there, or not ready.
            ModelNotReady: it takes something that the contract does not make.
        """
        await self._client.check_ready(self._model_name, call)
        self._input = await self._ask_input(call)

    async def check(self, call: Call) -> None:
        """Raise the reason why nothing should be sent now: it is not ready, or its contract is another."""
        await self._client.check_ready(self._model_name, call)
        if self._is_mismatched:
            rules = self._directory.contract.input
            await self.infer(np.zeros((1, rules.height, rules.width, 3), np.uint8), call)

    async def infer(self, pixels: Pixels, call: Call) -> InferResponse:
        """Run the model on `pixels` `[n, height, width, 3]`; every output has `n` rows.

        A predictor that refuses them is asked anew what it takes, since it may have been replaced by one that is fused
        otherwise, and gets them once more if that has changed.

        Raises:
            ContractMismatch: it serves another contract than this transformer decodes with.
            ServingError: of the client.
        """
        known = self._input
        if known is None:
            raise ModelNotReady("the predictor has not been met yet")
        try:
            return await self._infer(pixels, known, call)
        except PredictorFault as fault:
            if not fault.details.get("refused") or not await self._takes_another_input(known, call):
                raise
        assert self._input is not None  # noqa: S101  # never unset
        return await self._infer(pixels, self._input, call)

    async def close(self) -> None:
        """Close the connection."""
        await self._client.close()

    async def _infer(self, pixels: Pixels, known: PredictorInput, call: Call) -> InferResponse:
        array: Array = pixels
        if known.takes_numbers:
            array = await self._queue.run(call, partial(to_model_input, pixels, self._directory.contract.input))
        rows_per_message = max(1, self._max_tensor_bytes // (array.nbytes // len(array)))
        responses = [
            await self._send(array[start : start + rows_per_message], known, call)
            for start in range(0, len(array), rows_per_message)
        ]
        return responses[0] if len(responses) == 1 else _joined(responses)

    async def _send(self, array: Array, known: PredictorInput, call: Call) -> InferResponse:
        wanted = self._directory.contract.output.tensor
        request = InferRequest(
            model_name=self._model_name,
            inputs=(Tensor(known.tensor.name, array),),
            id=call.request_id,
            outputs=(RequestedOutput(wanted),) if wanted else (),
        )
        response = await self._client.infer(request, call)
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

    async def _takes_another_input(self, used: PredictorInput, call: Call) -> bool:
        """Ask the predictor again what it takes; of many requests that want to know, one asks."""
        async with self._meeting:
            if self._input is used:
                self._input = await self._ask_input(call)
                if self._input == used:
                    return False
                logger.warning("another input", model=self._model_name, tensor=str(self._input.tensor))
        return True

    async def _ask_input(self, call: Call) -> PredictorInput:
        metadata = await self._client.metadata(self._model_name, call)
        return PredictorInput.of(metadata, self._directory.contract)


def _joined(responses: Sequence[InferResponse]) -> InferResponse:
    """Return the answers to the parts of one tensor as one answer."""
    first = responses[0]
    try:
        outputs = tuple(
            Tensor(tensor.name, np.concatenate([response.output(tensor.name).array for response in responses]))
            for tensor in first.outputs
        )
    except (KeyError, ValueError) as error:
        raise PredictorFault(f"the predictor's answers to one batch do not fit together: {error}") from error
    return InferResponse(first.model_name, first.model_version, outputs, first.id, first.parameters)
