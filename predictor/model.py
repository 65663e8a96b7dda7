"""The predictor's model: tensors in, tensors out, behind V1 and V2."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from predictor.loading import Loaded, load
from predictor.rows import run_rows
from predictor.settings import PredictorSettings
from serving.call import Call
from serving.contract import ModelDirectory
from serving.contract.repository import VersionFolder
from serving.errors import RequestInvalid, TensorInvalid
from serving.metrics import Metrics
from serving.queue import WorkQueue, timed
from serving.server.model import ServedVersion
from serving.v1 import read_instances
from serving.v2 import InferRequest, InferResponse, ModelMetadata, Tensor, TensorSpec
from serving.v2.json_data import read_json_tensor
from serving.v2.message import check_inputs, check_requested

PLATFORM = "onnxruntime_onnx"


class PredictorModel(ServedVersion):
    """One version of an ONNX model, behind the protocol's doors."""

    def __init__(
        self,
        settings: PredictorSettings,
        metrics: Metrics,
        folder: VersionFolder | None = None,
        *,
        loads: asyncio.Semaphore | None = None,
    ) -> None:
        """Prepare the version of `folder`, or of the settings' own model directory, to be opened.

        `loads` bounds how many versions are loaded side by side.
        """
        super().__init__(folder or VersionFolder(settings.model_name, settings.model_dir))
        self._settings = settings.for_folder(self.folder)
        self._loads = loads or asyncio.Semaphore()
        self._queue = WorkQueue(
            "the model",
            settings.instances,
            settings.max_queue_rows,
            metrics.queue_rows.labels(self.name, self.version),
        )
        self._loaded: Loaded | None = None

    async def open(self, *, patient: bool = True) -> None:  # noqa: ARG002  # it waits for nobody
        """Read the directory, compile the graph, make the session and warm it up."""
        loaded = await self._load()
        self._loaded = replace(loaded, directory=self.folder.numbered(loaded.directory))
        self.version = self.directory.contract.model.version

    async def close(self) -> None:
        """Wait for runs that were begun, and let the session go."""
        await self._queue.close()
        self._loaded = None

    @property
    def directory(self) -> ModelDirectory:
        """The directory that was loaded."""
        return self._require().directory

    @property
    def task(self) -> str:
        """The task of the contract, once it was read."""
        return self._loaded.directory.contract.task if self._loaded else ""

    def metadata(self) -> ModelMetadata:
        """Return what the graph takes and gives, fused or not."""
        loaded = self._require()
        return ModelMetadata(
            name=self.name,
            versions=(self.version,),
            platform=PLATFORM,
            inputs=loaded.inputs,
            outputs=loaded.outputs,
        )

    async def infer(self, request: InferRequest, call: Call) -> InferResponse:
        """Run the model on a request's rows."""
        loaded = self._require()
        check_inputs(request.inputs, loaded.inputs)
        check_requested(request.outputs, loaded.outputs)
        rows = _rows(request.inputs)
        names = tuple(output.name for output in request.outputs) or tuple(spec.name for spec in loaded.outputs)
        call.rows = rows
        call.model_version = self.version
        call.task = loaded.directory.contract.task
        work = partial(run_rows, loaded.session, loaded.run_size, request.inputs, names)
        with self._queue.admit(rows):
            outputs, seconds = await self._queue.run(call, partial(timed, work))
        call.add_stage("compute", seconds)
        return InferResponse(
            model_name=self.name,
            model_version=call.model_version,
            id=request.id,
            outputs=outputs,
            parameters={"model_version": call.model_version, "contract": loaded.directory.digest},
        )

    async def predict(self, payload: Mapping[str, Any], call: Call) -> dict[str, Any]:
        """Answer V1: each instance is one row, as nested lists, or as an object with the inputs' names where there are
        several.
        """
        loaded = self._require()
        instances = read_instances(payload, "row of the input", self._settings.max_queue_rows)
        inputs = tuple(_column(instances, spec, single=len(loaded.inputs) == 1) for spec in loaded.inputs)
        response = await self.infer(InferRequest(model_name=self.name, inputs=inputs), call)
        if len(response.outputs) == 1:
            return {"predictions": list(response.outputs[0].array)}
        rows = range(len(instances))
        return {"predictions": [{t.name: t.array[row] for t in response.outputs} for row in rows]}

    async def _load(self) -> Loaded:
        """Load on a thread, which cannot be stopped: a load that is cancelled keeps its place until that has ended."""
        await self._loads.acquire()
        loading = asyncio.get_running_loop().run_in_executor(None, load, self._settings)
        loading.add_done_callback(self._release)
        try:
            await asyncio.wait((loading,))
            return loading.result()
        finally:
            # An error holds this frame, and the frame the future that holds the error: a circle around all it has read.
            loading = None  # type: ignore[assignment]

    def _release(self, ended: asyncio.Future[Loaded]) -> None:
        self._loads.release()
        if not ended.cancelled():
            ended.exception()  # seen, should the opening be cancelled: asyncio would complain of it later

    def _require(self) -> Loaded:
        assert self._loaded is not None, "asked before it was ready"  # noqa: S101  # the doors check
        return self._loaded


def _rows(inputs: Sequence[Tensor]) -> int:
    rows = {tensor.shape[0] if tensor.shape else 0 for tensor in inputs}
    if len(rows) != 1 or 0 in rows:
        raise TensorInvalid(f"the inputs have different numbers of rows: {sorted(rows)}")
    return rows.pop()


def _column(instances: Sequence[Any], spec: TensorSpec, *, single: bool) -> Tensor:
    """Gather one input out of all instances."""
    rows = []
    for number, instance in enumerate(instances):
        if isinstance(instance, dict):
            if spec.name not in instance:
                raise RequestInvalid(f"instance {number} has no {spec.name!r}")
            rows.append(instance[spec.name])
        elif single:
            rows.append(instance)
        else:
            raise RequestInvalid(f"instance {number} is no object, and the model has several inputs")
    shape = [len(rows), *(_nested_lengths(rows[0]))]
    return read_json_tensor(spec.name, spec.datatype, shape, rows)


def _nested_lengths(value: object) -> list[int]:
    lengths = []
    while isinstance(value, list):
        lengths.append(len(value))
        value = value[0] if value else None
    return lengths
