"""What an inspection cannot do, each with the sentence that its reader needs.

::

    InspectionError
    ├── NotAModel        the file is no ONNX model, or cannot be read
    ├── NotServable      it is one, and takes or gives what kserve-vision has no way to serve
    ├── AnswerUnfit      an option does not fit the model, or another option
    └── NotWritten       the contract is not written: something stands in its place, or the folder cannot be written
"""

from __future__ import annotations


class InspectionError(Exception):
    """A sentence for people: what is wrong, and what would be right."""


class NotAModel(InspectionError):
    """The file is no ONNX model, or is cut off."""


class NotServable(InspectionError):
    """The model is none of pictures, or has a form that no decoder reads."""


class AnswerUnfit(InspectionError):
    """What the user said does not fit."""


class NotWritten(InspectionError):
    """The model directory was left as it was."""
