"""From an encoded picture to a model's input: limits, decode, turn, resize, and normalise where the graph does not.

::

    bytes ─ read_header ─▶ Header ─ decode ─▶ Picture ─ resize ─▶ pixels [H, W, 3] uint8 ─ to_model_input ─▶ tensor
            limits          cover             rules               Geometry: boxes back to the original

`prepare` does the first three.
"""

from transformer.pictures.allocator import return_large_pictures
from transformer.pictures.decode import Picture, decode, decoded_size, decoding_bytes
from transformer.pictures.geometry import Geometry
from transformer.pictures.header import Header, check_memory, read_header
from transformer.pictures.limits import DEFAULT_FORMATS, Limits
from transformer.pictures.normalize import to_model_input
from transformer.pictures.placement import Placement, place
from transformer.pictures.prepare import Prepared, prepare
from transformer.pictures.resize import resize
from transformer.pictures.sample import sample_jpeg

__all__ = [
    "DEFAULT_FORMATS",
    "Geometry",
    "Header",
    "Limits",
    "Picture",
    "Placement",
    "Prepared",
    "check_memory",
    "decode",
    "decoded_size",
    "decoding_bytes",
    "place",
    "prepare",
    "read_header",
    "resize",
    "return_large_pictures",
    "sample_jpeg",
    "to_model_input",
]
