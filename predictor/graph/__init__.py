"""The graph compiler: the contract's rules as nodes of the model, before its input and behind its outputs.

The file on disk is never changed.
"""

from predictor.graph.back import fuse_output
from predictor.graph.front import fuse_input, model_input
from predictor.graph.reading import Graph, read_graph, size_of
from predictor.graph.shapes import output_shapes, with_shapes
from serving.decoders import NotCompilable

__all__ = [
    "Graph",
    "NotCompilable",
    "fuse_input",
    "fuse_output",
    "model_input",
    "output_shapes",
    "read_graph",
    "size_of",
    "with_shapes",
]
