"""Answers that are made beside the event loop, many of one request side by side."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from typing_extensions import override

from serving.admission import Admission, Bounds
from serving.call import Call
from serving.errors import PredictorFault
from serving.metrics import Metrics
from serving.queue import WorkQueue
from tests.unit.transformer.answering import directory_of
from transformer.pictures import Limits
from transformer.pipeline import Answered, Pipeline
from transformer.tasks import Answer, task_of


@dataclass
class Slow(Answer):
    """An answer whose JSON takes a moment, and notes that it was made."""

    made: list[int] = field(default_factory=list)

    @override
    def to_json(self) -> Any:
        time.sleep(0.001)
        self.made.append(1)
        return {}


class Faulty(Answer):
    @override
    def to_json(self) -> Any:
        raise PredictorFault("no")


async def test_the_first_fault_ends_the_work_for_the_other_pictures_of_a_request() -> None:
    directory = directory_of(task="segmentation", output={"decoder": "class_map"})
    queue = WorkQueue("the decoder", 1, Admission("the decoder", Bounds(64, 2**30, 60), Metrics("test").queue_of()))
    pipeline = Pipeline(directory, task_of(directory), cast("Any", None), queue, Limits())
    slow = Slow()

    with pytest.raises(PredictorFault):
        await pipeline.to_json(Answered([Faulty(), *[slow] * 50], [], "1"), Call("an-id", "test"))
    await queue.run(Call("another-id", "test"), list)
    await queue.close()

    assert len(slow.made) <= 1
