"""Tasks: what is answered of a picture. One module each, found by name here."""

from __future__ import annotations

from typing import Any

from serving.contract import ModelDirectory
from transformer.tasks.base import Answer, Task
from transformer.tasks.classification import Classification
from transformer.tasks.detection import ObjectDetection
from transformer.tasks.embedding import Embedding
from transformer.tasks.instance_segmentation import InstanceSegmentation
from transformer.tasks.options import Options
from transformer.tasks.raw import Raw
from transformer.tasks.segmentation import Segmentation

__all__ = ["TASKS", "Answer", "Options", "Task", "task_of"]

TASKS: dict[str, type[Task[Any, Any]]] = {
    "classification": Classification,
    "detection": ObjectDetection,
    "segmentation": Segmentation,
    "instance_segmentation": InstanceSegmentation,
    "embedding": Embedding,
    "raw": Raw,
}


def task_of(directory: ModelDirectory) -> Task[Any, Any]:
    """Return the task that the contract names; a contract that was read names one that there is."""
    return TASKS[directory.contract.task].of(directory)
