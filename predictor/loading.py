"""From a model directory to a session that is warm: read, check, compile, load."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from predictor.graph import check_output, fuse_input, model_input, read_graph
from predictor.rows import RunSize, run_rows
from predictor.session import Session, SessionOptions, open_session
from predictor.settings import PredictorSettings
from serving.contract import ModelDirectory, load_model_directory
from serving.cpu import cpu_limit
from serving.errors import ContractInvalid, InferenceFailed, ModelLoadFailed
from serving.v2 import DATATYPES, Tensor, TensorSpec
from serving.v2.message import ANY
from serving.v2.tensor import Array


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model that can be run: its directory, its session, and what requests are held against.

    `inputs` and `outputs` have `ANY` as their first axis, whatever the graph's own is.
    """

    directory: ModelDirectory
    session: Session
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    run_size: RunSize


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
        run_size=RunSize(
            fixed or settings.max_batch_size or contract.batching.max_batch_size,
            fixed=bool(fixed),
        ),
    )
    _check_labels(loaded)
    _warm_up(loaded)
    return loaded


def _any_rows(spec: TensorSpec) -> TensorSpec:
    return TensorSpec(spec.name, spec.datatype, (ANY, *spec.shape[1:]))


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
    for rows in sorted({1, loaded.run_size.rows}):
        inputs = tuple(Tensor(spec.name, _zeros(spec, rows)) for spec in loaded.inputs)
        try:
            for _ in range(2):
                run_rows(loaded.session, loaded.run_size, inputs, names)
        except InferenceFailed as error:
            raise ModelLoadFailed(f"{loaded.directory.model_path} fails on {rows} rows: {error.message}") from error


def _zeros(spec: TensorSpec, rows: int) -> Array:
    return np.zeros((rows, *(1 if size == ANY else size for size in spec.shape[1:])), dtype=DATATYPES[spec.datatype])
