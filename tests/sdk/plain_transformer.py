"""A transformer on the plain KServe SDK, its predictor asked by the SDK's own client:
`python -m tests.sdk.plain_transformer`.
"""

from __future__ import annotations

import argparse
import base64
import io

import numpy as np
from kserve import InferInput, InferRequest, InferResponse, Model, ModelServer, model_server
from kserve.utils.utils import generate_uuid
from PIL import Image

from tests.sdk.model_directory import SIDE


class PictureTransformer(Model):  # type: ignore[misc]  # the SDK is untyped
    """Pictures to pixels; `predict` is the SDK's."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.ready = True

    async def preprocess(self, payload: InferRequest, headers: dict[str, str] | None = None) -> InferRequest:  # noqa: ARG002
        elements = payload.inputs[0].as_numpy().reshape(-1)
        pictures = elements if payload.from_grpc else [base64.b64decode(element) for element in elements]
        pixels = np.stack([_pixels(picture) for picture in pictures])
        tensor = InferInput("pixels", list(pixels.shape), "UINT8")
        tensor.set_data_from_numpy(pixels, binary_data=True)
        return InferRequest(self.name, [tensor], request_id=payload.id or generate_uuid())

    async def postprocess(
        self,
        result: InferResponse,
        headers: dict[str, str] | None = None,  # noqa: ARG002
        response_headers: dict[str, str] | None = None,  # noqa: ARG002
    ) -> InferResponse:
        return result


def _pixels(picture: bytes) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.asarray(Image.open(io.BytesIO(picture)).convert("RGB").resize((SIDE, SIDE)))


def main() -> None:
    parser = argparse.ArgumentParser(parents=[model_server.parser])
    # 30 s by default: so long does a request hang whose client is closed under it.
    ModelServer(grace_period=2).start([PictureTransformer(parser.parse_args().model_name)])


if __name__ == "__main__":
    main()
