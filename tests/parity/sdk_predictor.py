"""Somebody else's predictor: the demo model behind a plain KServe SDK server that says nothing of its inputs."""

from __future__ import annotations

import argparse

import onnxruntime
from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer, model_server


class Classifier(Model):  # type: ignore[misc]  # the SDK is untyped
    """FP32 `[n, 3, 224, 224]` to logits."""

    def __init__(self, name: str, path: str) -> None:
        super().__init__(name)
        self._session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        self.ready = True

    async def predict(self, payload: InferRequest, headers: dict[str, str] | None = None) -> InferResponse:  # noqa: ARG002
        (logits,) = self._session.run(None, {"input": payload.inputs[0].as_numpy()})
        output = InferOutput("logits", list(logits.shape), "FP32")
        output.set_data_from_numpy(logits, binary_data=True)
        return InferResponse(payload.id, self.name, [output], use_binary_outputs=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(parents=[model_server.parser])
    parser.add_argument("--onnx")
    arguments, _ = parser.parse_known_args()
    ModelServer(http_port=arguments.http_port, grpc_port=arguments.grpc_port).start(
        [Classifier(arguments.model_name, arguments.onnx)]
    )
