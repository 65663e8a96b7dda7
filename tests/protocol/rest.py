"""The REST half: requests of which each byte is the test's own, and the reading of what comes back."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import httpx

from .answers import Answer
from .target import Target
from .tensors import JsonObject, Tensor, from_json, from_raw

JSON = {"content-type": "application/json"}
OCTETS = {"content-type": "application/octet-stream"}
HEADER_LENGTH = "Inference-Header-Content-Length"
CLIENT_ERRORS = range(400, 500)


class RestServer:
    """A server's REST side, seen from one model."""

    def __init__(self, http: httpx.Client, target: Target) -> None:
        self.http = http
        self.target = target

    def model_path(self, *, model: str | None = None, version: str | None = None) -> str:
        """Return the path of a model's metadata; ``/ready`` and ``/infer`` follow it."""
        path = f"/v2/models/{quote(model or self.target.model, safe='')}"
        return path if version is None else f"{path}/versions/{quote(version, safe='')}"

    def get(self, path: str) -> httpx.Response:
        """Ask for `path`."""
        return self.http.get(path)

    def post(
        self,
        content: bytes | Iterable[bytes],
        headers: Mapping[str, str] = JSON,
        *,
        version: str | None = None,
    ) -> httpx.Response:
        """Send `content` to the model's ``infer`` route."""
        path = f"{self.model_path(version=version)}/infer"
        return self.http.post(path, content=content, headers=dict(headers))

    def infer(self, document: object, *, version: str | None = None) -> httpx.Response:
        """Send `document` as JSON."""
        return self.post(json.dumps(document).encode(), version=version)

    def answer(self, inputs: Sequence[Tensor], **fields: Any) -> Answer:
        """Ask in JSON and read the answer."""
        return read_answer(self.infer(document(inputs, **fields)))

    def assert_refused(
        self,
        response: httpx.Response,
        *,
        statuses: Collection[int] = CLIENT_ERRORS,
        promised: Collection[int] = (400,),
    ) -> None:
        """The response is the client's fault, in the protocol's words.

        `statuses` are lawful; `promised` are those of a server that is ``strict``.
        """
        assert response.status_code in statuses, brief(response)
        if self.target.offers("strict"):
            assert response.status_code in promised, brief(response)
        if self.target.offers("error-object"):
            assert_error_object(response)

    def assert_no_fault(self, response: httpx.Response) -> None:
        """The server answers, or refuses in the protocol's words; it does not fail."""
        if response.status_code != httpx.codes.OK:
            assert response.status_code in CLIENT_ERRORS, brief(response)
            if self.target.offers("error-object"):
                assert_error_object(response)


def document(inputs: Sequence[Tensor], **fields: Any) -> JsonObject:
    """Return a request with its data in JSON."""
    return {**fields, "inputs": [tensor.document for tensor in inputs]}


def assert_error_object(response: httpx.Response) -> None:
    """The body is the protocol's error object."""
    assert response.headers["content-type"].startswith("application/json"), brief(response)
    body = response.json()
    assert isinstance(body, dict), brief(response)
    assert isinstance(body.get("error"), str), brief(response)
    assert body["error"].strip(), brief(response)


def read_object(response: httpx.Response) -> JsonObject:
    """Return the JSON object of a response with status 200."""
    assert response.status_code == httpx.codes.OK, brief(response)
    assert response.headers["content-type"].split(";")[0].strip() == "application/json"
    body = response.json()
    assert isinstance(body, dict)
    return body


def read_answer(response: httpx.Response) -> Answer:
    """Read an answer that is JSON from end to end."""
    assert HEADER_LENGTH not in response.headers
    return _answer(read_object(response), b"")


def read_binary_answer(response: httpx.Response) -> tuple[Answer, JsonObject]:
    """Read an answer in the binary extension: its tensors, and the JSON before them."""
    assert response.status_code == httpx.codes.OK, brief(response)
    size = int(response.headers[HEADER_LENGTH])
    body = json.loads(response.content[:size])
    return _answer(body, response.content[size:]), body


def _answer(body: JsonObject, tail: bytes) -> Answer:
    outputs: list[Tensor] = []
    for output in body["outputs"]:
        name, datatype, shape = output["name"], output["datatype"], output["shape"]
        assert all(type(size) is int for size in shape)
        binary_size = (output.get("parameters") or {}).get("binary_data_size")
        if binary_size is None:
            outputs.append(from_json(name, datatype, shape, output["data"]))
        else:
            assert "data" not in output, "the data is said twice"
            outputs.append(from_raw(name, datatype, shape, tail[:binary_size]))
            assert len(tail) >= binary_size, f"{name} is cut short"
            tail = tail[binary_size:]
    assert not tail, f"{len(tail)} bytes belong to no output"
    for text in ("model_version", "id"):
        assert isinstance(body.get(text) or "", str), text
    return Answer(body["model_name"], body.get("model_version") or "", body.get("id") or "", tuple(outputs))


def brief(response: httpx.Response) -> str:
    """Say what came back, in one line."""
    return f"{response.status_code} {response.headers.get('content-type')} {response.content[:200]!r}"
