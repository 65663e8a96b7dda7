"""The served path without sockets: a model directory, the compiled graph, and the transformer's reading of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from predictor.batching import run_rows
from predictor.loading import Loaded, load
from predictor.settings import PredictorSettings
from serving.contract import InputRules
from serving.decoders import Array
from serving.v2 import InferResponse, ModelMetadata, Tensor
from tests.unit.serving.directories import write_directory
from transformer.client import PredictorInput
from transformer.pictures import Limits, Prepared, prepare, to_model_input
from transformer.reading import OutputReader
from transformer.tasks import task_of


@dataclass(frozen=True)
class Served:
    """A loaded model, and how its answers are read."""

    loaded: Loaded
    input: PredictorInput
    reader: OutputReader

    @classmethod
    def at(cls, folder: Path, *, fuse_output: bool, fuse_input: bool = True) -> Served:
        loaded = load(
            PredictorSettings(model_dir=folder, model_name="m", fuse_output=fuse_output, fuse_input=fuse_input)
        )
        metadata = ModelMetadata("m", ("1",), "", loaded.inputs, loaded.outputs)
        reader = OutputReader.of(metadata, loaded.directory.decoder())
        assert reader.reduced is fuse_output
        return cls(loaded, PredictorInput.of(metadata, loaded.directory.contract), reader)

    @property
    def rules(self) -> InputRules:
        return self.loaded.directory.contract.input

    def prepare(self, picture: bytes) -> Prepared:
        return prepare(picture, self.rules, Limits())

    def run(self, pictures: Sequence[Prepared]) -> tuple[Tensor, ...]:
        """The predictor's outputs for pictures of one size."""
        pixels = np.stack([picture.pixels for picture in pictures])
        array = to_model_input(pixels, self.rules) if self.input.takes_numbers else pixels
        inputs = self.input.tensors(array, self.loaded.directory.contract)
        return run_rows(self.loaded.lanes[0], self.loaded.run_size, inputs, list(self.reader.names.values()))

    def read(self, outputs: tuple[Tensor, ...], rows: int) -> list[dict[str, Array]]:
        read = self.reader.read(InferResponse("m", "1", outputs), rows)
        return [{name: array[row] for name, array in read.items()} for row in range(rows)]

    def answers(self, pictures: Sequence[Prepared], **options: Any) -> list[Any]:
        """The task's answers, of all pictures in one request where rows can be joined."""
        task = task_of(self.loaded.directory)
        chosen = task.options_type().overridden(options)
        together = len(pictures) if self.reader.takes_rows else 1
        answers = []
        for start in range(0, len(pictures), together):
            some = pictures[start : start + together]
            read = self.read(self.run(some), len(some))
            answers += [task.decode(tensors, picture, chosen) for tensors, picture in zip(read, some, strict=True)]
        return answers


def directory(folder: Path, model: onnx.ModelProto, labels: str, changes: Mapping[str, Any]) -> Path:
    """Write a detector's directory; keys with dots."""
    write_directory(folder, {"task": "detection", **changes}, labels=labels)
    onnx.save(model, folder / "model.onnx")
    return folder
