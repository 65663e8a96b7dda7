"""From a model directory to a session that is warm: read, check, compile, load."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from predictor.arrangement import Arrangement, sizes_of
from predictor.batching import Policy, RunSize
from predictor.engines import Engine, Lane, SessionOptions, StoredGraph, open_engine, store
from predictor.engines.device import Device
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
from predictor.heap import give_back
from predictor.settings import PredictorSettings
from predictor.warmup import make_ready, warm_up
from serving.contract import Batching, ModelDirectory, load_model_directory
from serving.decoders import Decoder
from serving.errors import ModelLoadFailed
from serving.log import get_logger
from serving.v2 import TensorSpec
from serving.v2.message import ANY

logger = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model that can be run: its directory, its engine, and what requests are held against.

    `inputs` and `outputs` have `ANY` as their first axis, whatever the graph's own is. `lanes` run side by side.
    """

    directory: ModelDirectory
    engine: Engine
    lanes: tuple[Lane, ...]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    run_size: RunSize
    policy: Policy
    """When rows are run together."""


def load(settings: PredictorSettings) -> Loaded:
    """Load the model directory of the settings, to the end of its warm-up.

    Raises:
        ModelLoadFailed, ContractInvalid: with what to mend.
    """
    directory = load_model_directory(settings.model_dir)
    compiled = _compile(directory, settings)
    give_back()  # what was read, before as much is asked for again
    with compiled.graph:
        loaded = _open(directory, compiled, settings)
    give_back()
    return loaded


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A graph that is ready for a session, the number of rows that it is fixed to, and whether its outputs are the
    decoder's.
    """

    graph: StoredGraph
    fixed: int | None
    reduced: bool


def _open(directory: ModelDirectory, compiled: _Compiled, settings: PredictorSettings) -> Loaded:
    """Make lanes of a graph, and warm them up."""
    contract = directory.contract
    decoder = directory.decoder()
    joinable = decoder.batched or compiled.reduced
    batching = settings.batching(contract.batching)
    arrangement = Arrangement(batching.instances, batching.threads, settings.cpu_count)
    run_size = _run_size(decoder, compiled.fixed, batching, joinable=joinable)
    options = _session_options(settings, arrangement, run_size)
    engine = open_engine(compiled.graph, settings.runtime(contract.runtime), options, arrangement.lanes)
    lanes = tuple(engine.open_lane() for _ in range(arrangement.lanes(engine.device)))
    give_back()  # what the session needed to be made, before runs need more
    try:
        costs = warm_up(engine, lanes[0], run_size, contract.input)
        make_ready(engine, lanes, costs.sizes(0.0), contract.input)
    except ModelLoadFailed as error:
        raise ModelLoadFailed(f"{directory.model_path}: {error.message}") from error
    engine.settle()
    return Loaded(
        directory=directory,
        engine=engine,
        lanes=lanes,
        inputs=tuple(_any_rows(spec) for spec in engine.inputs),
        outputs=tuple(_any_rows(spec) if joinable else spec for spec in engine.outputs),
        run_size=run_size,
        policy=Policy(
            costs,
            max_delay_s=batching.max_delay_ms / 1000,
            adaptive=batching.adaptive,
            parallel=engine.device == Device.CPU,
        ),
    )


def _session_options(settings: PredictorSettings, arrangement: Arrangement, run_size: RunSize) -> SessionOptions:
    memory = settings.device_memory_mb
    return SessionOptions(
        device=settings.device,
        threads=arrangement.threads,
        sizes=run_size.sizes,
        optimization=settings.graph_optimization,
        arena=settings.memory_arena,
        cuda_graphs=settings.cuda_graphs,
        device_memory=int(memory * 2**20) if memory else None,
        tf32=settings.cuda_tf32,
        cache=settings.cache_dir,
    )


def _compile(directory: ModelDirectory, settings: PredictorSettings) -> _Compiled:
    """Read a graph, and store it with the contract's rules in it; what was read is forgotten."""
    graph = read_graph(directory.model_path)
    fixed = size_of(model_input(graph, directory.contract).type.tensor_type.shape.dim[0])
    compiled, reduced = _compiled(graph, directory, directory.decoder(), settings)
    return _Compiled(store(compiled, directory.model_path), fixed, reduced)


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


def _run_size(decoder: Decoder[Any], fixed: int | None, batching: Batching, *, joinable: bool) -> RunSize:
    """Return the sizes of the runs that the graph takes."""
    if not decoder.batched:
        return RunSize((1,), joinable=joinable)
    return RunSize((fixed,) if fixed else sizes_of(batching), joinable=joinable)
