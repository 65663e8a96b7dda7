"""The graph compiler: the contract's rules as nodes of the model, before its input and behind its outputs.

The file on disk is never changed.
"""

from predictor.graph.back import check_output
from predictor.graph.front import fuse_input, model_input
from predictor.graph.reading import read_graph

__all__ = ["check_output", "fuse_input", "model_input", "read_graph"]
