"""From a predictor's answer to a task's, without a predictor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from serving.contract import Contract, ModelDirectory
from serving.v2 import InferResponse, ModelMetadata
from tests.unit.serving.directories import contract_with
from transformer.pictures import Geometry, Prepared
from transformer.reading import OutputReader
from transformer.tasks import task_of


def directory_of(labels: tuple[str, ...] = (), **changes: Any) -> ModelDirectory:
    """A model directory that is nowhere on the disk; keys with `__` for dots."""
    dotted = {key.replace("__", "."): each for key, each in changes.items()}
    return ModelDirectory(Path("nowhere"), Contract.model_validate(contract_with(dotted)), labels, "")


def prepared(height: int = 9, width: int = 9) -> Prepared:
    """A picture that lies in the model's input as it is."""
    return Prepared(np.zeros((height, width, 3), np.uint8), Geometry(width, height, 1, 1, 0, 0))


def answers_of(
    response: InferResponse, options: Any, rows: int = 1, labels: tuple[str, ...] = (), **changes: Any
) -> list[Any]:
    """What is answered to `rows` pictures for which a predictor that tells nothing of itself gave `response`."""
    directory = directory_of(labels, **changes)
    read = OutputReader.of(ModelMetadata("m", (), "", (), ()), directory.decoder()).read(response, rows)
    pictures = [{name: array[row] for name, array in read.items()} for row in range(rows)]
    return [task_of(directory).decode(picture, prepared(), options) for picture in pictures]
