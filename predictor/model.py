"""The predictor's model: tensors in, tensors out, behind V1 and V2."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from predictor.batching import Answer, Batcher, BatchRequest, LaneThread, Plan
from predictor.loading import Loaded, load
from predictor.metrics import PredictorMetrics
from predictor.settings import PredictorSettings
from serving.admission import Admission
from serving.call import Call
from serving.contract import ModelDirectory
from serving.contract.repository import VersionFolder
from serving.errors import DeviceLost, ModelLoadFailed, RequestInvalid, TensorInvalid
from serving.log import get_life_logger
from serving.server.model import ServedVersion
from serving.v1 import read_instances
from serving.v2 import InferRequest, InferResponse, ModelMetadata, Tensor, TensorSpec
from serving.v2.json_data import read_json_tensor
from serving.v2.message import check_inputs, check_requested
from serving.v2.priority import is_urgent

logger = get_life_logger()

LOADS_AT_ONCE: Final = 4
"""Models that are loaded side by side, where there are as many CPUs: each holds its graph in memory several times."""


def places_to_load(settings: PredictorSettings) -> asyncio.Semaphore:
    """Return what bounds how many models this process loads side by side."""
    return asyncio.Semaphore(min(LOADS_AT_ONCE, settings.cpu_count))


class PredictorModel(ServedVersion):
    """One version of an ONNX model, behind the protocol's doors."""

    def __init__(
        self,
        settings: PredictorSettings,
        metrics: PredictorMetrics,
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
        self._metrics = metrics
        self._loaded: Loaded | None = None
        self._admission: Admission | None = None
        self._batcher: Batcher | None = None
        self._lanes: list[LaneThread] = []

    async def open(self, *, patient: bool = True) -> None:  # noqa: ARG002  # it waits for nobody
        """Read the directory, compile the graph, make the session and warm it up."""
        try:
            loaded = await self._load()
        except DeviceLost as error:
            self._lose(error)
            raise ModelLoadFailed(error.message) from error
        self._loaded = replace(loaded, directory=self.folder.numbered(loaded.directory))
        self.version = self.directory.contract.model.version
        self._batcher = self._begin(self._loaded)

    async def close(self) -> None:
        """Wait for runs that were begun, and let the engine go."""
        patience_s = self._settings.drain_timeout_seconds
        if self._batcher is not None:
            await self._batcher.close(patience_s)
            self._metrics.release(self.name, self.version)
        for lane in self._lanes:
            await lane.close(patience_s)
        self._batcher = self._loaded = self._admission = None
        self._lanes = []

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
            platform=loaded.engine.platform,
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
        if not loaded.run_size.joinable and rows > 1:
            raise TensorInvalid(
                f"{rows} rows came: this model's outputs have no row axis, so that it takes one row a request"
            )
        given, seconds = await self._run(request, names, call)
        outputs = {tensor.name: tensor for tensor in given}
        return InferResponse(
            model_name=self.name,
            model_version=call.model_version,
            id=request.id,
            outputs=tuple(outputs[name] for name in names),
            parameters={"model_version": call.model_version, "contract": loaded.directory.digest},
            # By these, whoever asked can tell the wire's time from ours.
            timings=seconds,
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

    async def _run(
        self, request: InferRequest, names: tuple[str, ...], call: Call
    ) -> tuple[Answer, Mapping[str, float]]:
        """Have the batcher run a request, if it is let in; return its outputs, and the seconds of each stage."""
        assert self._batcher is not None  # noqa: S101  # begun with what was loaded
        assert self._admission is not None  # noqa: S101
        call.remaining_s()
        # In the engine's own order, so that requests share runs whatever the order in which they ask for outputs.
        wanted = tuple(spec.name for spec in self._require().outputs if spec.name in names)
        urgent = is_urgent(request.parameters)
        asked = BatchRequest(request.inputs, wanted, call.deadline, urgent)
        with self._admission.admit(call.rows, sum(tensor.array.nbytes for tensor in request.inputs)):
            try:
                outputs = await self._batcher.run(asked)
            except DeviceLost as error:
                self._lose(error)
                raise
            finally:
                seconds = {"queue": asked.waited_s, "compute": asked.ran_s}
                for stage, each in seconds.items():
                    call.add_stage(stage, each)
                # An error holds this frame, and the frame the future that holds the error: a circle that would keep the
                # request's bytes until the collector comes by.
                del asked
        return outputs, seconds

    def _lose(self, error: DeviceLost) -> None:
        if self.lost is None:
            logger.error("device lost", model=self.name, version=self.version, message=error.message)
            self.lost = DeviceLost(error.message)

    def _begin(self, loaded: Loaded) -> Batcher:
        """Give each lane its thread, and the rows of requests to the lanes."""
        self._lanes = [
            LaneThread(f"{self.name}-{number}", lane, loaded.run_size) for number, lane in enumerate(loaded.lanes)
        ]
        meter = self._metrics.queue_of(self.name, self.version)
        admission = self._admission = Admission("the model", self._settings.bounds, meter)
        capacity = len(loaded.lanes) * loaded.policy.costs.best
        self._metrics.load.labels(self.name, self.version).set_function(lambda: admission.rows / capacity)
        self._metrics.hold(self.name, self.version)
        return Batcher(
            Plan(loaded.run_size, loaded.policy), self._lanes, self._metrics.runs_of(self.name, self.version)
        )

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
