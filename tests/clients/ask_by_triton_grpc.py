"""Ask a server by `tritonclient.grpc`, and print its answer as JSON.

A process of its own: the client and the KServe SDK register the same protobuf messages, and one process takes one.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import tritonclient.grpc as triton


def health(client: Any, model: str) -> object:
    """Whether everything is ready, and the names of the model's inputs."""
    metadata = client.get_model_metadata(model)
    return {
        "ready": client.is_server_live() and client.is_server_ready() and client.is_model_ready(model),
        "inputs": [tensor.name for tensor in metadata.inputs],
        "server": client.get_server_metadata().name,
    }


def tensors(client: Any, model: str, path: str) -> object:
    """The scores of pixels in an .npy file."""
    pixels = np.load(path)
    tensor = triton.InferInput("pixels", list(pixels.shape), "UINT8")
    tensor.set_data_from_numpy(pixels)
    scores = client.infer(model, [tensor], request_id="a-1").as_numpy("top_scores")
    return {"shape": scores.shape, "first": scores[0].astype(float).tolist()}


def pictures(client: Any, model: str, *paths: str) -> object:
    """The first label of each picture."""
    elements = np.empty(len(paths), dtype=np.object_)
    for index, path in enumerate(paths):
        elements[index] = Path(path).read_bytes()
    tensor = triton.InferInput("image", [len(paths)], "BYTES")
    tensor.set_data_from_numpy(elements)
    answer = client.infer(model, [tensor], parameters={"top_k": 1})
    return [label.decode() for label in answer.as_numpy("labels")[:, 0]]


if __name__ == "__main__":
    target, model_name, action, *arguments = sys.argv[1:]
    with triton.InferenceServerClient(target) as connected:
        try:
            print(json.dumps(globals()[action](connected, model_name, *arguments)))
        except triton.InferenceServerException as error:
            print(json.dumps({"status": error.status(), "message": error.message()}))
