"""The requests that a predictor is asked with: those that the transformer sends it for these pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
import numpy as np
from numpy.typing import NDArray

from cli.bench.doors import NoAnswer, open_door
from cli.bench.pictures import NoPictures, read_pictures
from cli.bench.target import NoTarget, Target
from cli.reading import PictureTooLarge
from serving.contract import ModelDirectory
from serving.errors import ServingError
from serving.v2 import InferRequest, ModelMetadata
from serving.v2.message import RequestedOutput
from serving.v2.tensor import Array
from transformer.client import PredictorInput
from transformer.pictures import Limits, prepare, to_model_input
from transformer.reading import OutputReader

PROTOCOL: Final = "v2-rest"
"""REST with binary tensors, as `kserve-vision serve` has it between its servers: what costs both the least."""
MOST_PICTURES: Final = 32
"""More say nothing more of a model's speed, and each is held as pixels."""


@dataclass(frozen=True, slots=True)
class Pictures:
    """Pictures as the model takes them, each `[1, height, width, 3]`; and what they are, in words."""

    pixels: Sequence[NDArray[np.uint8]]
    source: str


def prepare_pictures(directory: ModelDirectory, paths: Sequence[Path]) -> Pictures:
    """Prepare the pictures of files and folders, or generated ones where there are none.

    Raises:
        NoTarget: there are none in a folder, or one cannot be prepared.
        OSError: one cannot be read.
    """
    try:
        pictures, source = read_pictures(paths)
        prepared = [
            prepare(picture.content, directory.contract.input, Limits()).pixels[None]
            for picture in pictures[:MOST_PICTURES]
        ]
    except (NoPictures, PictureTooLarge, ServingError) as error:
        raise NoTarget(str(error)) from error
    return Pictures(prepared, source)


def target_at(url: str, name: str, directory: ModelDirectory, pictures: Pictures) -> Target:
    """Make the requests to a predictor that is ready.

    Raises:
        NoTarget: it does not tell what it takes, or takes something else.
    """
    door = open_door(PROTOCOL, httpx.URL(url), {})
    try:
        metadata = door.metadata(name)
        asked = [_request(pixels, metadata, directory) for pixels in pictures.pixels]
    except (NoAnswer, ServingError) as error:
        raise NoTarget(str(error)) from error
    return Target(door.server, tuple(map(door.encode, asked)), name, pictures.source)


def _request(pixels: NDArray[np.uint8], metadata: ModelMetadata, directory: ModelDirectory) -> InferRequest:
    contract = directory.contract
    known = PredictorInput.of(metadata, contract)
    array: Array = to_model_input(pixels, contract.input) if known.takes_numbers else pixels
    names = OutputReader.of(metadata, directory.decoder()).names.values()
    return InferRequest(
        model_name=metadata.name,
        inputs=known.tensors(array, contract),
        outputs=tuple(RequestedOutput(name) for name in dict.fromkeys(names)),
    )
