"""Dynamic batching: rows of requests into runs of the model, and back to whom they belong.

::

    request ──▶ Admission ──▶ Line (per shape) ──▶ Batch ──▶ Lane's thread: gather · run · part ──▶ request
                                     └── Batcher, the one owner: decides what runs next, and when ──┘
"""

from predictor.batching.batcher import Batcher, Plan
from predictor.batching.costs import Costs
from predictor.batching.lanes import LaneThread
from predictor.batching.policy import Policy
from predictor.batching.request import Answer, Batch, BatchRequest, Part
from predictor.batching.run import Ran, run_batch, run_rows
from predictor.batching.sizes import RunSize

__all__ = [
    "Answer",
    "Batch",
    "BatchRequest",
    "Batcher",
    "Costs",
    "LaneThread",
    "Part",
    "Plan",
    "Policy",
    "Ran",
    "RunSize",
    "run_batch",
    "run_rows",
]
