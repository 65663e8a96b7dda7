"""The predictor's model: tensors in, tensors out, with the contract compiled into the graph.

Rows are what the requests are made of: the first axis of every input and output. A request of more rows than one run
takes is cut into runs; a graph whose first axis is fixed gets runs of exactly that size, the last one filled up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from predictor.graph import check_output, fuse_input, model_input, read_graph
from predictor.session import Session, SessionOptions, open_session
from predictor.settings import PredictorSettings
from serving.call import Call
from serving.contract import ModelDirectory, load_model_directory
from serving.cpu import cpu_limit
from serving.errors import ContractInvalid, InferenceFailed, ModelLoadFailed, RequestInvalid, TensorInvalid
from serving.metrics import Metrics
from serving.queue import WorkQueue, timed
from serving.server.model import ServedModel
from serving.v2 import DATATYPES, InferRequest, InferResponse, ModelMetadata, Tensor, TensorSpec
from serving.v2.message import ANY, check_inputs, check_requested
from serving.v2.rest import read_json_tensor
from serving.v2.tensor import Array

PLATFORM = "onnxruntime_onnx"


@dataclass(frozen=True, slots=True)
class Loaded:
    """What `open` brings: the directory, the session, and what requests are held against."""

    directory: ModelDirectory
    session: Session
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    rows_per_run: int
    fixed_rows: bool


class PredictorModel(ServedModel):
    """An ONNX model of a model directory, behind the protocol's doors."""

    def __init__(self, settings: PredictorSettings, metrics: Metrics) -> None:
        super().__init__(settings.model_name)
        self._settings = settings
        self._queue = WorkQueue(
            "the model", settings.instances, settings.max_queue_rows, metrics.queue_rows.labels(settings.model_name)
        )
        self._loaded: Loaded | None = None

    async def open(self) -> None:
        """Read the directory, compile the graph, make the session and warm it up."""
        self._loaded = await asyncio.to_thread(load, self._settings)

    async def close(self) -> None:
        """Wait for runs that were begun, and let the session go."""
        await self._queue.close()
        self._loaded = None

    def metadata(self) -> ModelMetadata:
        """Return what the graph takes and gives, fused or not."""
        loaded = self._require()
        return ModelMetadata(
            name=self.name,
            versions=(loaded.directory.contract.model.version,),
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
        call.model_version = loaded.directory.contract.model.version
        call.task = loaded.directory.contract.task
        self._queue.admit(rows)
        outputs, seconds = await self._queue.run(
            rows, call, partial(timed, partial(run_rows, loaded, request.inputs, names, rows))
        )
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
        instances = payload.get("instances")
        if not isinstance(instances, list) or not instances:
            raise RequestInvalid('"instances" must be a list with at least one row of the input')
        inputs = tuple(_column(instances, spec, single=len(loaded.inputs) == 1) for spec in loaded.inputs)
        response = await self.infer(InferRequest(model_name=self.name, inputs=inputs), call)
        if len(response.outputs) == 1:
            return {"predictions": list(response.outputs[0].array)}
        rows = range(len(instances))
        return {"predictions": [{t.name: t.array[row] for t in response.outputs} for row in rows]}

    def _require(self) -> Loaded:
        assert self._loaded is not None, "asked before it was ready"  # noqa: S101  # the doors check
        return self._loaded


def load(settings: PredictorSettings) -> Loaded:
    """Load the model directory of the settings, to the end of its warm-up.

    Raises:
        ModelLoadFailed, ContractInvalid: with what to mend.
    """
    directory = load_model_directory(settings.model_dir)
    contract = directory.contract
    graph = read_graph(directory.model_path)
    value = model_input(graph, contract)
    check_output(graph, contract)
    fixed = value.type.tensor_type.shape.dim[0].dim_value
    session = open_session(
        fuse_input(graph, contract) if settings.fuse_input else graph,
        directory.model_path,
        SessionOptions(settings.device, settings.num_threads or cpu_limit()),
    )
    loaded = Loaded(
        directory=directory,
        session=session,
        inputs=tuple(_any_rows(spec) for spec in session.inputs),
        outputs=tuple(_any_rows(spec) for spec in session.outputs),
        rows_per_run=fixed or contract.batching.max_batch_size,
        fixed_rows=bool(fixed),
    )
    _check_labels(loaded)
    _warm_up(loaded)
    return loaded


def run_rows(loaded: Loaded, inputs: Sequence[Tensor], outputs: Sequence[str], rows: int) -> tuple[Tensor, ...]:
    """Run `rows` rows in as many runs as they need, and join the outputs.

    Raises:
        InferenceFailed: a run failed, or gave another number of rows than it got.
    """
    size = loaded.rows_per_run
    if rows == size or (rows < size and not loaded.fixed_rows):
        runs = [_run(loaded, inputs, outputs, rows)]
    else:
        runs = [
            _run(loaded, _slice(inputs, start, size, fill=loaded.fixed_rows), outputs, min(size, rows - start))
            for start in range(0, rows, size)
        ]
    if len(runs) == 1:
        return runs[0]
    return tuple(Tensor(name, np.concatenate([run[index].array for run in runs])) for index, name in enumerate(outputs))


def _run(loaded: Loaded, inputs: Sequence[Tensor], outputs: Sequence[str], rows: int) -> tuple[Tensor, ...]:
    given = inputs[0].shape[0]
    answers = loaded.session.run(inputs, outputs)
    for tensor in answers:
        if not tensor.shape or tensor.shape[0] != given:
            raise InferenceFailed(
                f"the model gave output {tensor.name!r} with the shape {list(tensor.shape)} for {given} rows: "
                "its first axis is not the batch"
            )
    return answers if given == rows else tuple(Tensor(t.name, t.array[:rows]) for t in answers)


def _slice(inputs: Sequence[Tensor], start: int, size: int, *, fill: bool) -> tuple[Tensor, ...]:
    """Cut `size` rows from `start` on; with `fill`, a short end is filled with its last row."""
    cut = tuple(Tensor(t.name, t.array[start : start + size]) for t in inputs)
    missing = size - cut[0].shape[0]
    if not fill or missing == 0:
        return cut
    return tuple(Tensor(t.name, np.concatenate([t.array, *[t.array[-1:]] * missing])) for t in cut)


def _rows(inputs: Sequence[Tensor]) -> int:
    rows = {tensor.shape[0] if tensor.shape else 0 for tensor in inputs}
    if len(rows) != 1 or 0 in rows:
        raise TensorInvalid(f"the inputs have different numbers of rows: {sorted(rows)}")
    return rows.pop()


def _any_rows(spec: TensorSpec) -> TensorSpec:
    return TensorSpec(spec.name, spec.datatype, (ANY, *spec.shape[1:]))


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


def _check_labels(loaded: Loaded) -> None:
    """Hold the number of labels against the classes of a classifier, where the graph says how many there are."""
    contract, labels = loaded.directory.contract, loaded.directory.labels
    if contract.task != "classification" or not labels:
        return
    name = contract.output.tensor or loaded.outputs[0].name
    shape = next(spec.shape for spec in loaded.outputs if spec.name == name)
    classes = shape[-1] if len(shape) == 2 else ANY  # noqa: PLR2004  # [rows, classes]
    if classes not in (ANY, len(labels)):
        raise ContractInvalid(
            f"{contract.labels} has {len(labels)} labels; the graph's output {name!r} has {classes} classes"
        )


def _warm_up(loaded: Loaded) -> None:
    """Run the smallest and the largest batch twice: the first run of a shape allocates and chooses kernels."""
    names = [spec.name for spec in loaded.outputs]
    for rows in sorted({1, loaded.rows_per_run}):
        inputs = tuple(Tensor(spec.name, _zeros(spec, rows)) for spec in loaded.inputs)
        try:
            for _ in range(2):
                run_rows(loaded, inputs, names, rows)
        except InferenceFailed as error:
            raise ModelLoadFailed(f"{loaded.directory.model_path} fails on {rows} rows: {error.message}") from error


def _zeros(spec: TensorSpec, rows: int) -> Array:
    return np.zeros((rows, *(1 if size == ANY else size for size in spec.shape[1:])), dtype=DATATYPES[spec.datatype])
