"""The predictor over V2 REST, with binary tensors."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

from serving.call import TIMEOUT_HEADER, Call
from serving.errors import (
    DeadlineExceeded,
    PredictorFault,
    PredictorUnavailable,
    RequestInvalid,
    TensorInvalid,
)
from serving.http_answer import Answer, AnswerTooLarge, AnswerUnreadable
from serving.http_connection import ConnectionFailed
from serving.v2 import InferRequest, InferResponse, ModelMetadata
from serving.v2 import rest as codec
from serving.v2.rest import Body
from transformer.address import Address
from transformer.client.base import ready_in_time
from transformer.client.meaning import Refusal, meaning_of
from transformer.client.pool import Pool
from transformer.settings import TransformerSettings

FIRST_BACKOFF_S: Final = 0.05
BACKOFF_FACTOR: Final = 3


class RestClient:
    """Asks the predictor on a pool of connections."""

    def __init__(self, settings: TransformerSettings) -> None:
        self._timeout_s = settings.predictor_request_timeout_seconds
        self._retries = settings.predictor_request_retries
        encrypted = settings.predictor_use_ssl
        default_port = 443 if encrypted else 80
        address = Address.parse(settings.predictor_host, default_port)
        host = settings.predictor_host
        self._where = host if address.unix_path else f"{'https' if encrypted else 'http'}://{host}"
        # Tensors do not shrink, and unpacking them takes longer than a wire.
        self._fixed_lines = f"host: {address.authority(default_port)}\r\naccept-encoding: identity\r\n"
        self._pool = Pool(
            address,
            _tls_context(settings) if encrypted else None,
            max_body_bytes=settings.max_body_bytes,
            max_age_s=settings.predictor_keepalive_seconds,
        )

    async def metadata(self, model: str, call: Call, version: str | None = None) -> ModelMetadata:
        """Return what the model takes and gives."""
        answer = await self._ask("GET", _path(model, version), call)
        try:
            return codec.decode_metadata(answer.body)
        except RequestInvalid as error:
            raise PredictorFault(f"the metadata of {model!r} at {self._where}: {error.message}") from error

    async def check_ready(self, model: str, call: Call, version: str | None = None) -> None:
        """Raise `PredictorUnavailable` unless the model is ready."""
        with ready_in_time(call) as question:
            await self._ask("GET", f"{_path(model, version)}/ready", question)

    async def infer(self, request: InferRequest, call: Call) -> InferResponse:
        """Run the model."""
        # The head says the id. Without it the JSON is the same each time, and the predictor need not read it again.
        body = codec.encode_request(replace(request, id=None))
        path = f"{_path(request.model_name, request.model_version)}/infer"
        answer = await self._ask("POST", path, call, body)
        try:
            return codec.decode_response(answer.body, answer.headers)
        except (RequestInvalid, TensorInvalid) as error:
            raise PredictorFault(f"the predictor's answer cannot be read: {error.message}") from error

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.close()

    async def _ask(self, method: str, path: str, call: Call, body: Body | None = None) -> Answer:
        """Send a request, and again while nobody answers and time and retries are left."""
        timeout = call.remaining_within(self._timeout_s)
        head = self._head(method, path, call, body, timeout)
        json, *tensors = body.parts if body else (b"",)
        parts = (head + json, *tensors)
        backoff = FIRST_BACKOFF_S
        try:
            async with asyncio.timeout(timeout):
                for attempt in range(self._retries + 1):
                    try:
                        return await self._send(parts)
                    except PredictorUnavailable as error:
                        if attempt == self._retries or not error.retry_after_s:
                            raise
                    await asyncio.sleep(backoff)
                    backoff *= BACKOFF_FACTOR
        except TimeoutError as error:
            raise DeadlineExceeded("the predictor did not answer in the time that was given") from error
        raise AssertionError("the loop returns or raises")

    def _head(self, method: str, path: str, call: Call, body: Body | None, timeout_s: float) -> bytes:
        headers = {**call.id_headers, **call.traces, TIMEOUT_HEADER: str(max(1, int(timeout_s * 1000)))}
        if body:
            headers |= {**body.headers, "content-length": str(sum(map(len, body.parts)))}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"{method} {path} HTTP/1.1\r\n{self._fixed_lines}{lines}\r\n".encode("ascii")

    async def _send(self, parts: Sequence[bytes | memoryview]) -> Answer:
        try:
            answer = await self._pool.ask(parts)
        except (ConnectionFailed, AnswerUnreadable) as error:
            raise PredictorUnavailable(
                f"the predictor at {self._where} cannot be reached: {error}", retry_after_s=1
            ) from error
        except AnswerTooLarge as error:
            raise PredictorFault(f"the predictor's answer cannot be read: {error}") from error
        if answer.status != HTTPStatus.OK:
            raise meaning_of(Refusal.over_http(answer.status, answer.said), f"the predictor at {self._where}")
        if answer.packing:
            raise PredictorFault(f"the predictor's answer is packed with {answer.packing:.40}, which nobody asked for")
        return answer


def _path(model: str, version: str | None) -> str:
    path = f"/v2/models/{quote(model, safe='')}"
    return path if version is None else f"{path}/versions/{quote(version, safe='')}"


def _tls_context(settings: TransformerSettings) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=settings.predictor_ca_file)
    context.set_alpn_protocols(["http/1.1"])
    return context
