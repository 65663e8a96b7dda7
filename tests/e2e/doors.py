"""The doors of a transformer: every way to send it a picture, and one way to read what comes back."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc
import httpx

from serving.sdk import pb, pb_grpc
from tests.servers import MODEL, RunningServer

TIMEOUT_S = 30.0
V1 = f"/v1/models/{MODEL}:predict"
V2 = f"/v2/models/{MODEL}/infer"
IDS = ("x-request-id", "x-correlation-id")


@dataclass(frozen=True)
class Answer:
    """What came back: the HTTP or gRPC status, the error's code and sentence, the ids, and the first label."""

    status: int | grpc.StatusCode
    code: str = "OK"
    message: str = ""
    ids: Mapping[str, str] = field(default_factory=dict)
    label: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_ok(self) -> bool:
        return self.status in (200, grpc.StatusCode.OK)


class Client:
    """Connections to one server."""

    def __init__(self, server: RunningServer) -> None:
        self.http = httpx.Client(base_url=server.url, timeout=TIMEOUT_S, trust_env=False)
        unlimited = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
        self.channel = grpc.insecure_channel(server.grpc, options=unlimited)
        self.stub = pb_grpc.GRPCInferenceServiceStub(self.channel)

    def close(self) -> None:
        self.http.close()
        self.channel.close()

    def post(self, path: str, **options: Any) -> Answer:
        return read_http(self.http.post(path, **options))

    def get(self, path: str, **options: Any) -> Answer:
        return read_http(self.http.get(path, **options))

    def ready_once_known(self) -> Answer:
        """Ask for readiness until it is known what becomes of every model."""
        while (answer := self.get("/ready")).code == "MODEL_NOT_READY":
            pass
        return answer

    def call(
        self,
        request: pb.ModelInferRequest,
        timeout: float = TIMEOUT_S,
        headers: Mapping[str, str] | None = None,
        compression: grpc.Compression | None = None,
    ) -> Answer:
        metadata = tuple((headers or {}).items())
        try:
            response, call = self.stub.ModelInfer.with_call(
                request, timeout=timeout, metadata=metadata, compression=compression
            )
        except grpc.RpcError as error:
            return read_rpc_error(error)
        label = response.outputs[0].contents.bytes_contents or _elements(response.raw_output_contents[0])
        return Answer(grpc.StatusCode.OK, ids=_ids(dict(call.trailing_metadata())), label=label[0].decode())


def read_http(response: httpx.Response) -> Answer:
    """Read an answer, and hold an error's body against the form that its route promises, field by field."""
    ids = _ids(response.headers)
    body = response.json()
    if response.status_code == httpx.codes.OK:
        return Answer(200, ids=ids, label=_first_label(body))
    assert response.headers["content-type"] == "application/json"
    if response.url.path.startswith(("/v1", "/v2")):
        assert body.keys() == {"error"}
        code, _, message = body["error"].partition(": ")
        return Answer(response.status_code, code, message, ids)
    assert body.keys() == {"success", "error"}
    assert body["success"] is False
    error = body["error"]
    assert error.keys() == {"code", "message", "request_id", "details"}
    assert error["request_id"] == ids[IDS[0]]
    return Answer(response.status_code, error["code"], error["message"], ids, details=error["details"])


def read_rpc_error(error: Any) -> Answer:
    """Read a gRPC error: `CODE: message`, and the code alone in the trailing metadata."""
    trailing = dict(error.trailing_metadata() or ())
    code, _, message = error.details().partition(": ")
    if "error-code" in trailing:
        assert trailing["error-code"] == code
    return Answer(error.code(), code, message, _ids(trailing))


def picture_request(*pictures: bytes, model: str = MODEL, version: str = "", **fields: Any) -> pb.ModelInferRequest:
    """A V2 gRPC request of raw pictures; `fields` are those of the input tensor."""
    tensor = {"name": "image", "datatype": "BYTES", "shape": [len(pictures)], **fields}
    raw = [_join(pictures)]
    return pb.ModelInferRequest(model_name=model, model_version=version, inputs=[tensor], raw_input_contents=raw)


def binary_request(*pictures: bytes) -> tuple[bytes, dict[str, str]]:
    """A V2 REST request of pictures in the binary extension: its body and headers. The outputs come in JSON."""
    raw = _join(pictures)
    tensor = {"name": "image", "datatype": "BYTES", "shape": [len(pictures)]}
    header = as_json({"inputs": [{**tensor, "parameters": {"binary_data_size": len(raw)}}]})
    return header + raw, {"inference-header-content-length": str(len(header))}


def json_request(*pictures: bytes, **fields: Any) -> dict[str, Any]:
    """A V2 REST request of pictures in base64; `fields` are those of the input tensor."""
    data = [base64.b64encode(picture).decode() for picture in pictures]
    return {"inputs": [{"name": "image", "datatype": "BYTES", "shape": [len(pictures)], "data": data, **fields}]}


Door = Callable[..., Answer]


def raw_body(client: Client, picture: bytes, headers: Mapping[str, str] | None = None) -> Answer:
    return client.post("/predict", content=picture, headers={"content-type": "image/jpeg", **(headers or {})})


def form(client: Client, picture: bytes, headers: Mapping[str, str] | None = None) -> Answer:
    return client.post("/predict", files={"file": ("photo.jpg", picture, "image/jpeg")}, headers=headers)


def batch_form(client: Client, picture: bytes, headers: Mapping[str, str] | None = None) -> Answer:
    return client.post("/predict/batch", files=[("files", ("photo.jpg", picture))], headers=headers)


def v1(client: Client, picture: bytes, headers: Mapping[str, str] | None = None) -> Answer:
    instances = [{"b64": base64.b64encode(picture).decode()}]
    return client.post(V1, json={"instances": instances}, headers=headers)


def v2_json(client: Client, picture: bytes, headers: Mapping[str, str] | None = None) -> Answer:
    return client.post(V2, json=json_request(picture), headers=headers)


def v2_binary(client: Client, picture: bytes, headers: Mapping[str, str] | None = None) -> Answer:
    body, own = binary_request(picture)
    return client.post(V2, content=body, headers=own | dict(headers or {}))


def v2_grpc(client: Client, picture: bytes, headers: Mapping[str, str] | None = None) -> Answer:
    return client.call(picture_request(picture), headers=headers)


REST_DOORS: tuple[Door, ...] = (raw_body, form, batch_form, v1, v2_json, v2_binary)
DOORS: tuple[Door, ...] = (*REST_DOORS, v2_grpc)


def _first_label(body: Any) -> str:
    if "outputs" in body:
        return str(body["outputs"][0]["data"][0])
    if "results" in body:
        return str(body["results"][0]["predictions"][0]["label"])
    predictions = body.get("predictions")
    if not predictions:
        return ""
    first = predictions[0]
    return str(first[0]["label"] if isinstance(first, list) else first["label"])


def _join(pictures: Sequence[bytes]) -> bytes:
    return b"".join(len(picture).to_bytes(4, "little") + picture for picture in pictures)


def _elements(raw: bytes) -> list[bytes]:
    elements, position = [], 0
    while position < len(raw):
        length = int.from_bytes(raw[position : position + 4], "little")
        elements.append(raw[position + 4 : position + 4 + length])
        position += 4 + length
    return elements


def _ids(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: headers[name] for name in IDS if name in headers}


def as_json(value: object) -> bytes:
    return json.dumps(value).encode()
