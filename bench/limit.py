"""The in-process limit: the same work as the servers', in one process, with no server around it.

`python -m bench.limit MODEL_DIR PICTURE...` reads one `LimitPlan` a line (JSON) on standard input, and writes one
`Reply` a line. The session is ONNX Runtime's own, without any layer of ours; the graph is the fused one.
"""

from __future__ import annotations

import itertools
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, PositiveFloat, PositiveInt

from load.measured import Measured, Reply
from load.process import cpu_seconds
from predictor.engines.runtime import ort
from predictor.graph import fuse_input, read_graph
from serving.contract import ModelDirectory, load_model_directory
from serving.decoders import Array, NumpyOps
from transformer.pictures import Limits, Prepared, prepare
from transformer.tasks import task_of

Work = Callable[[int], object]
"""One call: does the work of the picture with that number."""


class LimitPlan(BaseModel):
    """One measurement."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stage: Literal["prepare", "run", "whole"]
    """`prepare`: JPEG to pixels. `run`: pixels to logits. `whole`: both, and logits to labels."""
    workers: PositiveInt
    """Threads that call, side by side."""
    threads: PositiveInt = 1
    """Threads of one run of the model."""
    seconds: PositiveFloat


@dataclass(frozen=True, slots=True)
class Runner:
    """A bare session."""

    session: ort.InferenceSession
    input_name: str
    outputs: Mapping[str, str]
    """The names of the outputs that the decoder reads, by its part."""

    def run(self, pixels: Array) -> dict[str, Array]:
        """Run the model on `[1, H, W, 3]` pixels."""
        arrays = self.session.run(list(self.outputs.values()), {self.input_name: pixels})
        return dict(zip(self.outputs, arrays, strict=True))


class Limit:
    """The model, the pictures, and the stages over them."""

    def __init__(self, model_dir: Path, pictures: list[bytes]) -> None:
        self._directory = load_model_directory(model_dir)
        self._pictures = pictures
        self._prepared = [self._prepare(number) for number in range(len(pictures))]
        self._task = task_of(self._directory)
        self._decoder = self._directory.decoder()
        self._options = self._task.options_type()
        self._runner = cache(self._open)

    def work(self, plan: LimitPlan) -> Work:
        """Return one call of a plan's stage."""
        if plan.stage == "prepare":
            return self._prepare
        runner = self._runner(plan.threads)
        if plan.stage == "run":
            pixels = [prepared.pixels[None] for prepared in self._prepared]
            return lambda number: runner.run(pixels[number])
        return lambda number: self._answer(runner, number)

    def measure(self, plan: LimitPlan) -> Measured:
        """Follow a plan."""
        work = self.work(plan)
        for number in range(len(self._pictures)):
            work(number)
        return _in_threads(work, plan, len(self._pictures))

    def _prepare(self, number: int) -> Prepared:
        return prepare(self._pictures[number], self._directory.contract.input, Limits())

    def _answer(self, runner: Runner, number: int) -> object:
        prepared = self._prepare(number)
        read = self._decoder.read(NumpyOps(), runner.run(prepared.pixels[None]))
        return self._task.decode({name: rows[0] for name, rows in read.items()}, prepared, self._options)

    def _open(self, threads: int) -> Runner:
        return open_runner(self._directory, threads)


def open_runner(directory: ModelDirectory, threads: int) -> Runner:
    """Open a session of the fused graph, set up as well as we know how to: threads that spin cost CPU under load."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry(
        "session.model_external_initializers_file_folder_path", str(directory.model_path.parent)
    )
    options.log_severity_level = 3
    graph = fuse_input(read_graph(directory.model_path), directory.contract)
    session = ort.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])
    outputs = directory.decoder().bind({output.name: None for output in session.get_outputs()})
    return Runner(session, session.get_inputs()[0].name, outputs)


def _in_threads(work: Work, plan: LimitPlan, pictures: int) -> Measured:
    latencies: list[float] = []
    numbers = itertools.cycle(range(pictures))
    cpu_before, started = cpu_seconds(os.getpid()), time.perf_counter()
    end = started + plan.seconds

    def worker() -> None:
        now = time.perf_counter()
        while now < end:
            work(next(numbers))
            before, now = now, time.perf_counter()
            latencies.append(1000 * (now - before))

    threads = [threading.Thread(target=worker) for _ in range(plan.workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds, cpu_after = time.perf_counter() - started, cpu_seconds(os.getpid())
    return Measured(seconds=seconds, latencies_ms=tuple(latencies), cpu_seconds={"limit": cpu_after - cpu_before})


def main() -> None:
    """Follow the plans on standard input until it ends."""
    limit = Limit(Path(sys.argv[1]), [Path(path).read_bytes() for path in sys.argv[2:]])
    for line in sys.stdin:
        measured = limit.measure(LimitPlan.model_validate_json(line))
        sys.stdout.write(Reply(measured=measured).model_dump_json() + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
