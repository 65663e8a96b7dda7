"""The smallest model that MLServer serves for the suite: how bright each of four pixels is, and which is brightest.

What is wrong with a request is left to MLServer and its codec; only the choice of outputs, which MLServer hands to its
runtimes, is made here.
"""

from __future__ import annotations

import numpy as np
from mlserver import MLModel  # type: ignore[import-not-found]
from mlserver.codecs import NumpyCodec  # type: ignore[import-not-found]
from mlserver.errors import InferenceError  # type: ignore[import-not-found]
from mlserver.types import InferenceRequest, InferenceResponse  # type: ignore[import-not-found]


class Colours(MLModel):  # type: ignore[misc]
    """Pixels ``[n, 4] uint8`` to scores ``[n, 4] float32`` and the brightest ``[n, 1] int64``."""

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Answer with the outputs that are asked for, or with both."""
        scores = NumpyCodec.decode_input(payload.inputs[0]).astype(np.float32) / 255
        found = {"scores": scores, "brightest": scores.argmax(axis=1)}
        wanted = [output.name for output in payload.outputs or []] or list(found)
        if unknown := set(wanted) - found.keys():
            raise InferenceError(f"no such outputs: {unknown}")
        outputs = [NumpyCodec.encode_output(name, found[name]) for name in wanted]
        return InferenceResponse(model_name=self.name, model_version=self.version, outputs=outputs)
