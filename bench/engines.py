"""What each engine and precision costs, and how far its answers are from FP32: `python -m bench.engines [MODEL_DIR
[PICTURE ...]]` prints it as Markdown.

Without arguments it takes the zoo's models and the photographs of two Python packages; with your model and your
pictures it tells whether `precision: bf16` is for you. The engines take turns, so that what else the machine does falls
on all of them.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import typer

import zoo
from bench.decode import pictures
from predictor.batching import run_rows
from predictor.loading import Loaded, load
from predictor.settings import PredictorSettings
from serving.contract import EngineName, Precision, load_model_directory
from serving.decoders import Array
from serving.decoders.classification import TOP_CLASSES, TOP_SCORES
from serving.decoders.segmentation import LEVELS
from serving.errors import ModelLoadFailed, ServingError
from serving.log import configure_logging
from serving.v2 import InferResponse, ModelMetadata
from transformer.client import PredictorInput
from transformer.pictures import Limits, Prepared, prepare, to_model_input
from transformer.reading import OutputReader
from transformer.tasks import task_of

KINDS: Final = (
    (EngineName.ONNXRUNTIME, Precision.FP32),
    (EngineName.OPENVINO, Precision.FP32),
    (EngineName.OPENVINO, Precision.BF16),
    (EngineName.OPENVINO, Precision.FP16),
)
"""The first is what the others are held against."""
ROUNDS: Final = 3
MIDDLE: Final = 128
"""Of the levels 0 to 255 of a mask."""
SAME_PLACE: Final = 0.5
"""The least overlap of two boxes that are called the same, as in COCO's AP50."""


@dataclass(frozen=True, slots=True)
class Difference:
    """How an answer differs from the one in FP32: whether what it says first is the same, and by how much numbers are
    off, each by its name.
    """

    same: bool
    numbers: Mapping[str, float]


class Runner:
    """A model in one engine and precision, with the transformer's work around it and no server between them."""

    def __init__(self, model_dir: Path, engine: EngineName, precision: Precision) -> None:
        """Load it.

        Raises:
            ModelLoadFailed: this machine has no such engine or precision.
        """
        settings = PredictorSettings(model_dir=model_dir, engine=engine, precision=precision, instances=1)
        self.name = f"{engine} {precision}"
        self._loaded: Loaded = load(settings)
        self._contract = self._loaded.directory.contract
        metadata = ModelMetadata("m", ("1",), "", self._loaded.inputs, self._loaded.outputs)
        self._input = PredictorInput.of(metadata, self._contract)
        self._reader = OutputReader.of(metadata, self._loaded.directory.decoder())
        self._task = task_of(self._loaded.directory)
        self.task = self._contract.task
        self.cpu_ms: list[float] = []
        self.wall_ms: list[float] = []

    def prepare(self, picture: bytes) -> Prepared:
        """Decode and resize a picture as the contract says."""
        return prepare(picture, self._contract.input, Limits())

    def answer(self, picture: Prepared) -> dict[str, Any]:
        """Run the model on one picture, note what that cost, and return what its decoder reads, and `answer`."""
        pixels = picture.pixels[None]
        array = to_model_input(pixels, self._contract.input) if self._input.takes_numbers else pixels
        tensors = self._input.tensors(array, self._contract)
        cpu, wall = time.process_time(), time.perf_counter()
        outputs = run_rows(self._loaded.lanes[0], self._loaded.run_size, tensors, list(self._reader.names.values()))
        self.cpu_ms.append(1000 * (time.process_time() - cpu))
        self.wall_ms.append(1000 * (time.perf_counter() - wall))
        read = self._reader.read(InferResponse("m", "1", outputs), 1)
        rows = {name: values[0] for name, values in read.items()}
        return rows | {"answer": self._task.decode(rows, picture, self._task.options_type())}


def differ(task: str, one: Mapping[str, Any], other: Mapping[str, Any]) -> Difference:
    """Compare an answer with that of FP32, in the way of the task."""
    if task == "classification":
        return _differ_in_classes(one, other)
    if task == "detection":
        return _differ_in_boxes(one["answer"], other["answer"])
    return _differ_in_numbers(one, other)


def _differ_in_classes(one: Mapping[str, Any], other: Mapping[str, Any]) -> Difference:
    """Compare the first label, and all probabilities."""
    first, second = one["answer"].classes, other["answer"].classes
    size = 1 + max(int(each[TOP_CLASSES].max()) for each in (one, other))
    largest = float(np.abs(_scores(one, size) - _scores(other, size)).max())
    return Difference(first[0].class_id == second[0].class_id, {"largest \\|Δp\\|": largest})


def _differ_in_boxes(one: Any, other: Any) -> Difference:
    """Find each box of FP32 again: the one of its class that overlaps it most."""
    pairs = []
    for box in one.detections:
        found = [each for each in other.detections if each.class_id == box.class_id]
        best = max(found, key=lambda each: _overlap(box.box, each.box), default=None)
        if best is not None and _overlap(box.box, best.box) >= SAME_PLACE:
            pairs.append((box, best))
    same = len(pairs) == len(one.detections) == len(other.detections)
    numbers = {}
    if pairs:
        numbers["1 - IoU"] = max(1 - _overlap(first.box, second.box) for first, second in pairs)
        numbers["largest \\|Δscore\\|"] = max(abs(first.score - second.score) for first, second in pairs)
    return Difference(same, numbers)


def _differ_in_numbers(one: Mapping[str, Any], other: Mapping[str, Any]) -> Difference:
    """Compare pixel by pixel, or number by number; a level of a mask by the side of the middle that it is on."""
    shares, largest = [], 0.0
    for name, array in one.items():
        if isinstance(array, np.ndarray):
            middle = MIDDLE if name == LEVELS else None
            first, second = (each.astype(np.float64) for each in (array, other[name]))
            changed = first != second if middle is None else (first >= middle) != (second >= middle)
            shares.append(float(changed.mean()))
            largest = max(largest, float(np.abs(first - second).max(initial=0)))
    return Difference(max(shares) == 0, {"share of other pixels": max(shares), "largest \\|Δ\\|": largest})


def _scores(rows: Mapping[str, Any], size: int) -> Array:
    """Return the scores in the order of the classes; 0 for one that is not among the best."""
    scores: Array = np.zeros(size, np.float32)
    scores[rows[TOP_CLASSES]] = rows[TOP_SCORES]
    return scores


def _overlap(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the intersection over the union of two boxes [left, top, right, bottom]."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(0.0, width) * max(0.0, height)
    both = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return shared / (both - shared) if both > shared else 0.0


@dataclass(slots=True)
class Compared:
    """A runner, and what of its answers was other than in FP32."""

    runner: Runner
    differences: list[Difference] = field(default_factory=list)

    def row(self) -> str:
        """Return a row of the table."""
        cpu, wall = statistics.median(self.runner.cpu_ms), statistics.median(self.runner.wall_ms)
        same = f"{sum(each.same for each in self.differences)} of {len(self.differences)}" if self.differences else "-"
        names = dict.fromkeys(name for each in self.differences for name in each.numbers)
        far = "; ".join(f"{name} {self._spread(name)}" for name in names)
        return f"| {self.runner.name} | {cpu:.2f} | {wall:.2f} | {same} | {far or '-'} |"

    def _spread(self, name: str) -> str:
        values = [each.numbers[name] for each in self.differences if name in each.numbers]
        return f"{statistics.median(values):.2g}, at most {max(values):.2g}"


def compare(model_dir: Path, encoded: Sequence[bytes]) -> None:
    """Print a table of one model."""
    load_model_directory(model_dir)  # so that what is wrong with it is said once
    compared = [Compared(runner) for engine, precision in KINDS if (runner := _runner(model_dir, engine, precision))]
    if not compared:
        return
    exact, *others = compared
    prepared = [exact.runner.prepare(picture) for picture in encoded]
    for number, picture in product(range(ROUNDS), prepared):
        wanted = exact.runner.answer(picture)
        for other in others:
            given = other.runner.answer(picture)
            if number == 0:
                other.differences.append(differ(exact.runner.task, wanted, given))
    print(f"\n{model_dir.name}, {exact.runner.task}, {len(prepared)} pictures:\n")
    print("| engine, precision | CPU ms | ms | the same as FP32 | off by (median, and at most) |")
    print("|---|---|---|---|---|")
    for each in compared:
        print(each.row())


def _runner(model_dir: Path, engine: EngineName, precision: Precision) -> Runner | None:
    try:
        return Runner(model_dir, engine, precision)
    except ModelLoadFailed as error:
        print(f"{engine} {precision} is left out: {error.message}", file=sys.stderr)
        return None


def engines(
    model_dir: Annotated[
        Path | None, typer.Argument(help="A model directory; by default the zoo's, one by one.")
    ] = None,
    photos: Annotated[list[Path] | None, typer.Argument(help="Pictures; by default those of two packages.")] = None,
) -> None:
    """Print what each engine and precision costs, and how far its answers are from those in FP32."""
    configure_logging("ERROR", "console", "bench")
    try:
        folders = [model_dir] if model_dir is not None else [zoo.pull_cached(name) for name in zoo.RECIPES]
        encoded = [path.read_bytes() for path in photos or ()] or [picture for _, picture in pictures()]
        for folder in folders:
            compare(folder, encoded)
    except (OSError, ServingError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error


if __name__ == "__main__":
    typer.run(engines)
