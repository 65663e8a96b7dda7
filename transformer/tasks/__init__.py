"""Tasks: what a model's output means, and how it is answered. One module each, found by name here."""

from __future__ import annotations

from typing import Any

from serving.contract import ModelDirectory
from serving.errors import ContractInvalid
from transformer.tasks.base import Answer, Options, Task
from transformer.tasks.classification import Classification

__all__ = ["TASKS", "Answer", "Options", "Task", "task_of"]

TASKS: dict[str, type[Task[Any]]] = {
    "classification": Classification,
}


def task_of(directory: ModelDirectory) -> Task[Any]:
    """Return the task that the contract names.

    Raises:
        ContractInvalid: there is none of that name, or it does not know the contract's decoder.
    """
    name = directory.contract.task
    if name not in TASKS:
        raise ContractInvalid(f"task is {name!r}: one of {', '.join(TASKS)} is expected")
    return TASKS[name](directory.contract, directory.labels)
