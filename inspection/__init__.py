"""Inspection: from an ONNX file, and what lies beside it, to its contract.

The flow: the graph's structure is read without its weights; readers collect evidence from the file's metadata and its
neighbours; recognisers tell how the outputs can be read; what is usual of such a model fills the rest. Of each key the
surest finding counts, and what contradicts it is shown. What is left open is asked.
"""

from inspection.answers import NORMALIZATIONS, RESIZES, Answers
from inspection.errors import AnswerUnfit, InspectionError, NotAModel, NotServable, NotWritten
from inspection.evidence import Conclusion, Finding, Sure
from inspection.inspecting import Inspection, inspect
from inspection.questions import Question

__all__ = [
    "NORMALIZATIONS",
    "RESIZES",
    "AnswerUnfit",
    "Answers",
    "Conclusion",
    "Finding",
    "Inspection",
    "InspectionError",
    "NotAModel",
    "NotServable",
    "NotWritten",
    "Question",
    "Sure",
    "inspect",
]
