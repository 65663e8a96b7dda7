from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
import pytest

from serving.sdk import pb
from tests.servers import MODEL

from .doors import V1, V2, Client, as_json, binary_request, json_request, picture_request

pytestmark = pytest.mark.usefixtures("still_serves")

Request = dict[str, Any]
INVALID, MISSING = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND
FORM = {"content-type": "multipart/form-data; boundary=abc"}
IMAGE = {"content-type": "image/jpeg"}
BOUNDARYLESS = {"content-type": "multipart/form-data"}
JSON = {"content-type": "application/json"}
DIGITS = "9" * 5000


def part(headers: str, content: str = "abc") -> bytes:
    return f"--abc\r\n{headers}\r\n\r\n{content}\r\n--abc--\r\n".encode()


def more_than_the_limit() -> Iterator[bytes]:
    for _ in range(65):
        yield bytes(2**20)


PREDICT: dict[str, tuple[Request, int, str]] = {
    "no body and no type": ({}, 415, "CONTENT_TYPE_UNSUPPORTED"),
    "JSON": ({"json": {"image": "…"}}, 415, "CONTENT_TYPE_UNSUPPORTED"),
    "text": ({"content": b"hello", "headers": {"content-type": "text/plain"}}, 415, "CONTENT_TYPE_UNSUPPORTED"),
    "an empty picture": ({"content": b"", "headers": IMAGE}, 400, "IMAGE_EMPTY"),
    "another field": ({"files": {"picture": ("a.jpg", b"abc")}}, 422, "FIELD_MISSING"),
    "a form without fields": ({"content": b"", "headers": FORM}, 422, "FIELD_MISSING"),
    "a form that is cut off": ({"content": part('Content-Disposition: form-data; name="file"; filename="a"')[:-12],
                                "headers": FORM}, 422, "FIELD_MISSING"),
    "text in the field": ({"data": {"file": "photo.jpg"}, "files": {"x": b""}}, 400, "REQUEST_INVALID"),
    "no boundary": ({"content": part("X: y"), "headers": BOUNDARYLESS}, 400, "REQUEST_INVALID"),
    "another boundary": ({"content": b"--xyz\r\n\r\n", "headers": FORM}, 400, "REQUEST_INVALID"),
    "a part without a name": ({"content": part("Content-Disposition: form-data"), "headers": FORM}, 400,
                              "REQUEST_INVALID"),
    "a part without a header": ({"content": part("X: y"), "headers": FORM}, 400, "REQUEST_INVALID"),
    "two pictures": ({"files": [("file", ("a", b"a")), ("file", ("b", b"b"))]}, 400, "REQUEST_INVALID"),
    "compressed by brotli": ({"content": b"a", "headers": IMAGE | {"content-encoding": "br"}}, 415,
                             "CONTENT_TYPE_UNSUPPORTED"),
    "top_k of 0": ({"params": {"top_k": "0"}, "content": b"a", "headers": IMAGE}, 400, "REQUEST_INVALID"),
    "top_k of text": ({"params": {"top_k": "all"}, "content": b"a", "headers": IMAGE}, 400, "REQUEST_INVALID"),
    "top_k of 5,000 digits": ({"params": {"top_k": DIGITS}, "content": b"a", "headers": IMAGE}, 400,
                              "REQUEST_INVALID"),
    "a threshold over 1": ({"params": {"confidence_threshold": "1.1"}, "content": b"a", "headers": IMAGE}, 400,
                           "REQUEST_INVALID"),
    "a threshold that is no number": ({"params": {"confidence_threshold": "nan"}, "content": b"a", "headers": IMAGE},
                                      400, "REQUEST_INVALID"),
    "a time limit of text": ({"content": b"a", "headers": IMAGE | {"x-request-timeout-ms": "soon"}}, 400,
                             "REQUEST_INVALID"),
    "a time limit of 5,000 digits": ({"content": b"a", "headers": IMAGE | {"x-request-timeout-ms": DIGITS}}, 400,
                                     "REQUEST_INVALID"),
    "a body over the limit": ({"content": bytes(64 * 2**20 + 1), "headers": IMAGE}, 413, "REQUEST_TOO_LARGE"),
    "a body over the limit that did not say so": ({"content": None, "headers": IMAGE}, 413, "REQUEST_TOO_LARGE"),
}  # fmt: skip


@pytest.mark.parametrize("name", PREDICT)
def test_predict_refuses(client: Client, name: str) -> None:
    request, status, code = PREDICT[name]
    if "content" in request and request["content"] is None:
        request = request | {"content": more_than_the_limit()}

    answer = client.post("/predict", **request)

    assert (answer.status, answer.code) == (status, code), answer.message
    assert len(answer.message) > 20


ROUTES: dict[str, tuple[str, str, int, str]] = {
    "an unknown route": ("GET", "/no/such/route", 404, "ROUTE_NOT_FOUND"),
    "an unknown route of V2": ("GET", "/v2/nothing", 404, "ROUTE_NOT_FOUND"),
    "another method": ("GET", "/predict", 405, "METHOD_NOT_ALLOWED"),
    "another method of V2": ("GET", V2, 405, "METHOD_NOT_ALLOWED"),
    "an unknown model": ("POST", "/v2/models/nobody/infer", 404, "MODEL_NOT_FOUND"),
    "an unknown model of V1": ("POST", "/v1/models/nobody:predict", 404, "MODEL_NOT_FOUND"),
    "the readiness of an unknown model": ("GET", "/v2/models/nobody/ready", 404, "MODEL_NOT_FOUND"),
    "the metadata of an unknown model": ("GET", "/v2/models/nobody", 404, "MODEL_NOT_FOUND"),
    "an unknown version": ("POST", f"/v2/models/{MODEL}/versions/99/infer", 404, "VERSION_NOT_FOUND"),
    "the metadata of an unknown version": ("GET", f"/v2/models/{MODEL}/versions/99", 404, "VERSION_NOT_FOUND"),
    "loading a model": ("POST", f"/v2/repository/models/{MODEL}/load", 403, "REPOSITORY_CLOSED"),
    "unloading a model": ("POST", f"/v2/repository/models/{MODEL}/unload", 403, "REPOSITORY_CLOSED"),
    "a name with a path in it": ("GET", "/v2/models/..%2F..%2Fetc", 404, ""),
}


@pytest.mark.parametrize("server", ["client", "predictor_client"])
@pytest.mark.parametrize("name", ROUTES)
def test_both_servers_refuse(request: pytest.FixtureRequest, server: str, name: str) -> None:
    method, path, status, code = ROUTES[name]
    if server == "predictor_client" and path == "/predict":
        status, code = 404, "ROUTE_NOT_FOUND"
    asked: Client = request.getfixturevalue(server)

    answer = asked.post(path, json={}) if method == "POST" else asked.get(path)

    assert answer.status == status
    assert answer.code == code or not code
    assert answer.ids["x-request-id"]


BINARY, LYING = binary_request(b"abc")
V2_REQUESTS: dict[str, tuple[Request, str]] = {
    "no body": ({"content": b""}, "REQUEST_INVALID"),
    "no JSON": ({"content": b"{"}, "REQUEST_INVALID"),
    "a picture": ({"content": b"\xff\xd8\xff\xe0"}, "REQUEST_INVALID"),
    "a JSON array": ({"json": []}, "REQUEST_INVALID"),
    "no inputs": ({"json": {"inputs": []}}, "REQUEST_INVALID"),
    "another input": ({"json": json_request(b"abc", name="picture")}, "TENSOR_INVALID"),
    "another datatype": ({"json": json_request(b"abc", datatype="UINT8", data=[1])}, "TENSOR_INVALID"),
    "an unknown datatype": ({"json": json_request(b"abc", datatype="JPEG")}, "TENSOR_INVALID"),
    "another rank": ({"json": json_request(b"abc", shape=[1, 1])}, "TENSOR_INVALID"),
    "another number of rows": ({"json": json_request(b"abc", shape=[2])}, "TENSOR_INVALID"),
    "no rows": ({"json": json_request(shape=[0])}, "TENSOR_INVALID"),
    "no rows of a giant": ({"json": json_request(shape=[0, 2**62, 2**62])}, "TENSOR_INVALID"),
    "a negative shape": ({"json": json_request(b"abc", shape=[-1])}, "TENSOR_INVALID"),
    "numbers for pictures": ({"json": json_request(b"abc", data=[1])}, "TENSOR_INVALID"),
    "no base64": ({"json": json_request(b"abc", data=["not base64!"])}, "REQUEST_INVALID"),
    "an unknown output": ({"json": json_request(b"abc") | {"outputs": [{"name": "boxes"}]}}, "REQUEST_INVALID"),
    "top_k of text": ({"json": json_request(b"abc") | {"parameters": {"top_k": "all"}}}, "REQUEST_INVALID"),
    "a truncated tensor": ({"content": BINARY[:-1], "headers": LYING}, "TENSOR_INVALID"),
    "bytes too many": ({"content": BINARY + b"!", "headers": LYING}, "REQUEST_INVALID"),
    "a lying size": ({"content": BINARY.replace(b'_size": 7', b'_size": 8'), "headers": LYING}, "TENSOR_INVALID"),
    "a lying length of the JSON": ({"content": BINARY, "headers": LYING | {"inference-header-content-length": "9"}},
                                   "REQUEST_INVALID"),
    "a length of 5,000 digits": ({"content": BINARY, "headers": LYING | {"inference-header-content-length": DIGITS}},
                                 "REQUEST_INVALID"),
    "a time limit of 0": ({"content": BINARY, "headers": LYING | {"x-request-timeout-ms": "0"}}, "REQUEST_INVALID"),
}  # fmt: skip


@pytest.mark.parametrize("name", V2_REQUESTS)
def test_v2_refuses(client: Client, name: str) -> None:
    request, code = V2_REQUESTS[name]

    answer = client.post(V2, **request)

    assert (answer.status, answer.code) == (400, code), answer.message


V1_REQUESTS: dict[str, Request] = {
    "no body": {"content": b""},
    "no JSON": {"content": b"instances"},
    "a JSON array": {"json": []},
    "no instances": {"json": {}},
    "instances that are none": {"json": {"instances": {}}},
    "an empty list": {"json": {"instances": []}},
    "a number": {"json": {"instances": [1]}},
    "an object without a picture": {"json": {"instances": [{"base64": "AA=="}]}},
    "a picture that is a number": {"json": {"instances": [{"b64": 1}]}},
    "no base64": {"json": {"instances": [{"b64": "ÿ"}]}},
    "base64 that is cut off": {"json": {"instances": [{"b64": "AAA"}]}},
    "parameters that are a list": {"json": {"instances": ["AAAA"], "parameters": [1]}},
    "a threshold of text": {"json": {"instances": ["AAAA"], "parameters": {"confidence_threshold": "low"}}},
}


@pytest.mark.parametrize("name", V1_REQUESTS)
def test_v1_refuses(client: Client, name: str) -> None:
    answer = client.post(V1, **V1_REQUESTS[name])

    assert (answer.status, answer.code) == (400, "REQUEST_INVALID"), answer.message


GRPC_REQUESTS: dict[str, tuple[pb.ModelInferRequest, grpc.StatusCode, str]] = {
    "an unknown model": (picture_request(b"abc", model="nobody"), MISSING, "MODEL_NOT_FOUND"),
    "an unknown version": (picture_request(b"abc", version="99"), MISSING, "VERSION_NOT_FOUND"),
    "no inputs": (pb.ModelInferRequest(model_name=MODEL), INVALID, "REQUEST_INVALID"),
    "another input": (picture_request(b"abc", name="picture"), INVALID, "TENSOR_INVALID"),
    "another datatype": (picture_request(b"abc", datatype="UINT8", shape=[7]), INVALID, "TENSOR_INVALID"),
    "another rank": (picture_request(b"abc", shape=[1, 1]), INVALID, "TENSOR_INVALID"),
    "another number of rows": (picture_request(b"abc", shape=[2]), INVALID, "TENSOR_INVALID"),
    "no rows of a giant": (picture_request(shape=[0, 2**62, 2**62]), INVALID, "TENSOR_INVALID"),
}


@pytest.mark.parametrize("name", GRPC_REQUESTS)
def test_grpc_refuses(client: Client, name: str) -> None:
    message, status, code = GRPC_REQUESTS[name]

    answer = client.call(message)

    assert (answer.status, answer.code) == (status, code), answer.message


def pixels(**fields: Any) -> Request:
    size = 224 * 224 * 3
    return {"name": "pixels", "datatype": "UINT8", "shape": [1, 224, 224, 3], "size": size, **fields}


TENSORS: dict[str, Request] = {
    "another name": pixels(name="image"),
    "another datatype": pixels(datatype="INT8"),
    "another width": pixels(shape=[1, 224, 225, 3], size=224 * 225 * 3),
    "another layout": pixels(shape=[1, 3, 224, 224]),
    "no batch": pixels(shape=[224, 224, 3]),
    "no rows": pixels(shape=[0, 224, 224, 3], size=0),
    "a byte too few": pixels(size=224 * 224 * 3 - 1),
    "a byte too many": pixels(size=224 * 224 * 3 + 1),
    "a shape that overflows": pixels(shape=[2**62, 2**62, 2**62, 3]),
}


@pytest.mark.parametrize("protocol", ["rest", "grpc"])
@pytest.mark.parametrize("name", TENSORS)
def test_the_predictor_refuses_a_tensor_with(predictor_client: Client, protocol: str, name: str) -> None:
    tensor = dict(TENSORS[name])
    data = bytes(tensor.pop("size"))
    if protocol == "rest":
        header = as_json({"inputs": [{**tensor, "parameters": {"binary_data_size": len(data)}}]})
        length = {"inference-header-content-length": str(len(header))}
        answer = predictor_client.post(V2, content=header + data, headers=length)
    else:
        answer = predictor_client.call(
            pb.ModelInferRequest(model_name=MODEL, inputs=[tensor], raw_input_contents=[data])
        )

    assert answer.status in (400, INVALID)
    assert answer.code == "TENSOR_INVALID"


@pytest.mark.parametrize(
    "instances",
    [[], [1], [[1, 2]], [{"pixels": 1}], [{"image": [1]}], ["text"], [None], [[[[0.5] * 3] * 224] * 224]],
    ids=["none", "a number", "a list", "an object", "another name", "text", "null", "fractions"],
)
def test_the_predictor_refuses_rows_of_v1(predictor_client: Client, instances: list[Any]) -> None:
    answer = predictor_client.post(V1, json={"instances": instances})

    assert answer.status == 400
    assert answer.code in {"REQUEST_INVALID", "TENSOR_INVALID"}


@pytest.mark.parametrize("server", ["client", "predictor_client"])
def test_more_rows_than_the_queue_ever_holds_are_too_large(request: pytest.FixtureRequest, server: str) -> None:
    asked: Client = request.getfixturevalue(server)
    if server == "client":
        answer = asked.call(picture_request(*[b"abc"] * 257))
    else:
        rows = np.zeros((257, 224, 224, 3), dtype=np.uint8)
        tensor = {"name": "pixels", "datatype": "UINT8", "shape": rows.shape}
        answer = asked.call(
            pb.ModelInferRequest(model_name=MODEL, inputs=[tensor], raw_input_contents=[rows.tobytes()])
        )

    assert (answer.status, answer.code) == (INVALID, "REQUEST_TOO_LARGE")
    assert "257 rows" in answer.message


def test_names_that_nobody_serves_do_not_grow_the_metrics(client: Client) -> None:
    for number in range(3):
        client.post(f"/v2/models/invented-{number}/infer", json={})
        client.post(f"/v2/models/invented-{number}/infer", json={}, headers={"x-request-timeout-ms": "x"})
        client.post(f"/v2/models/invented/versions/invented-{number}/infer", json={})
        client.call(picture_request(b"abc", model="invented", version=f"invented-{number}"))

    assert "invented" not in client.http.get("/metrics").text
