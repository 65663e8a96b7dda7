"""From a model directory to a session that is warm: read, check, compile, load."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from predictor.graph import (
    Graph,
    NotCompilable,
    fuse_input,
    fuse_output,
    model_input,
    output_shapes,
    read_graph,
    size_of,
    with_shapes,
)
from predictor.rows import RunSize, run_rows
from predictor.session import Session, SessionOptions, open_session
from predictor.settings import PredictorSettings
from serving.contract import InputRules, ModelDirectory, load_model_directory
from serving.cpu import cpu_limit
from serving.decoders import Decoder
from serving.errors import InferenceFailed, ModelLoadFailed
from serving.log import get_logger
from serving.v2 import DATATYPES, Tensor, TensorSpec
from serving.v2.message import ANY
from serving.v2.tensor import Array

logger = get_logger(__name__)


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
    fixed = size_of(value.type.tensor_type.shape.dim[0])
    decoder = directory.decoder()
    compiled, reduced = _compiled(graph, directory, decoder, settings)
    joinable = decoder.batched or reduced
    session = open_session(
        compiled, directory.model_path, SessionOptions(settings.device, settings.num_threads or cpu_limit())
    )
    loaded = Loaded(
        directory=directory,
        session=session,
        inputs=tuple(_any_rows(spec) for spec in session.inputs),
        outputs=tuple(_any_rows(spec) if joinable else spec for spec in session.outputs),
        run_size=RunSize(
            fixed or settings.max_batch_size or contract.batching.max_batch_size if decoder.batched else 1,
            fixed=bool(fixed) or not decoder.batched,
            joinable=joinable,
        ),
    )
    _warm_up(loaded)
    return loaded


def _compiled(
    graph: Graph, directory: ModelDirectory, decoder: Decoder[Any], settings: PredictorSettings
) -> tuple[Graph, bool]:
    """Return the graph with the contract's rules in it, and whether its outputs are the decoder's.

    Raises:
        ContractInvalid: the graph's input or outputs are not as the contract says.
    """
    known_graph = with_shapes(graph, directory.contract)
    shapes = output_shapes(known_graph)
    names = decoder.bind(shapes)
    known = {part: shape for part, name in names.items() if (shape := shapes[name]) is not None}
    reduced = False
    if settings.fuse_output and len(known) == len(names) and decoder.pays(known):
        try:
            graph = fuse_output(known_graph, decoder)
            reduced = True
        except NotCompilable as error:
            logger.warning("outputs not compiled", file=str(directory.model_path), reason=str(error))
    return fuse_input(graph, directory.contract) if settings.fuse_input else graph, reduced


def _any_rows(spec: TensorSpec) -> TensorSpec:
    return TensorSpec(spec.name, spec.datatype, (ANY, *spec.shape[1:]))


def _warm_up(loaded: Loaded) -> None:
    """Run the smallest and the largest batch twice: the first run of a shape allocates and chooses kernels."""
    names = [spec.name for spec in loaded.outputs]
    for rows in sorted({1, loaded.run_size.rows}):
        inputs = tuple(Tensor(spec.name, _zeros(spec, rows, loaded.directory.contract.input)) for spec in loaded.inputs)
        try:
            for _ in range(2):
                run_rows(loaded.session, loaded.run_size, inputs, names)
        except InferenceFailed as error:
            raise ModelLoadFailed(f"{loaded.directory.model_path} fails on {rows} rows: {error.message}") from error


def _zeros(spec: TensorSpec, rows: int, rules: InputRules) -> Array:
    """Return an input of `rows` rows; a picture whose sides are free is as large as any that will come."""
    height, width = rules.largest_size
    picture = iter((height, width))
    is_picture = len(spec.shape) == 4 and 3 in spec.shape[1:]  # noqa: PLR2004  # rows, height, width, channels
    sizes = [next(picture) if size == ANY and is_picture else 1 if size == ANY else size for size in spec.shape[1:]]
    return np.zeros((rows, *sizes), dtype=DATATYPES[spec.datatype])
