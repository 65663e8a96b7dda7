"""Readers of evidence: one module for each place that exporters leave it in. A reader never raises: what it cannot read
is no evidence.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from inspection.evidence import Evidence
from inspection.graph import Graph
from inspection.readers import beside, hugging_face, mmdeploy, onnx_metadata, paddle, timm

Reader = Callable[[Graph, Path], Evidence]

READERS: Final[tuple[Reader, ...]] = (
    onnx_metadata.read,
    timm.read,
    hugging_face.read,
    paddle.read,
    mmdeploy.read,
    beside.read,
)
"""Of readers that contradict each other the first one counts, and the other is shown."""
