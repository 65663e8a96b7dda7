"""The predictor over V2 REST, with binary tensors."""

from __future__ import annotations

import asyncio
import re
from http import HTTPStatus
from typing import Any, Final

import httpx

from serving.call import TIMEOUT_HEADER, Call
from serving.errors import (
    DeadlineExceeded,
    ModelNotFound,
    Overloaded,
    PredictorFault,
    PredictorUnavailable,
    RequestInvalid,
    ServingError,
    TensorInvalid,
)
from serving.v2 import InferRequest, InferResponse, ModelMetadata
from serving.v2 import rest as codec
from transformer.client.base import ready_in_time
from transformer.settings import TransformerSettings

FIRST_BACKOFF_S: Final = 0.05
BACKOFF_FACTOR: Final = 3
_CODE: Final = re.compile(r'^\{"error":\s*"([A-Z_]+): ')
"""The code in the body of one of our predictor's refusals."""


class RestClient:
    """A pool of connections to the predictor."""

    def __init__(self, settings: TransformerSettings) -> None:
        self._timeout_s = settings.predictor_request_timeout_seconds
        self._retries = settings.predictor_request_retries
        scheme = "https" if settings.predictor_use_ssl else "http"
        self._base_url = f"{scheme}://{settings.predictor_host}"
        verify: str | bool = str(settings.predictor_ca_file) if settings.predictor_ca_file else True
        self._http = httpx.AsyncClient(
            base_url=self._base_url,
            headers={
                "accept-encoding": "identity"
            },  # tensors do not shrink, and unpacking them takes longer than a wire
            verify=verify if settings.predictor_use_ssl else False,
            limits=httpx.Limits(
                max_connections=None,
                max_keepalive_connections=64,
                keepalive_expiry=settings.predictor_keepalive_seconds,
            ),
            timeout=None,  # noqa: S113  # asyncio.timeout holds the whole
            trust_env=False,  # a proxy of the environment has no business between two containers
        )

    async def metadata(self, model: str, call: Call, version: str | None = None) -> ModelMetadata:
        """Return what the model takes and gives."""
        answer = await self._ask("GET", _path(model, version), call)
        try:
            return codec.decode_metadata(answer.content)
        except RequestInvalid as error:
            raise PredictorFault(f"the metadata of {model!r} at {self._base_url}: {error.message}") from error

    async def check_ready(self, model: str, call: Call, version: str | None = None) -> None:
        """Raise `PredictorUnavailable` unless the model is ready."""
        with ready_in_time(call) as question:
            await self._ask("GET", f"{_path(model, version)}/ready", question)

    async def infer(self, request: InferRequest, call: Call) -> InferResponse:
        """Run the model."""
        body = codec.encode_request(request)
        path = f"{_path(request.model_name, request.model_version)}/infer"
        answer = await self._ask("POST", path, call, content=bytes(body), headers=body.headers)
        try:
            return codec.decode_response(answer.content, answer.headers)
        except (RequestInvalid, TensorInvalid) as error:
            raise PredictorFault(f"the predictor's answer cannot be read: {error.message}") from error

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _ask(
        self, method: str, path: str, call: Call, content: bytes | None = None, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        """Send a request, and again while nobody answers and time and retries are left."""
        timeout = call.remaining_within(self._timeout_s)
        limit = {TIMEOUT_HEADER: str(max(1, int(timeout * 1000)))}
        sent = {**call.id_headers, **call.traces, **limit, **(headers or {})}
        backoff = FIRST_BACKOFF_S
        try:
            async with asyncio.timeout(timeout):
                for attempt in range(self._retries + 1):
                    try:
                        return await self._send(method, path, sent, content)
                    except PredictorUnavailable as error:
                        if attempt == self._retries or not error.retry_after_s:
                            raise
                    await asyncio.sleep(backoff)
                    backoff *= BACKOFF_FACTOR
        except TimeoutError as error:
            raise DeadlineExceeded("the predictor did not answer in the time that was given") from error
        raise AssertionError("the loop returns or raises")

    async def _send(self, method: str, path: str, headers: dict[str, str], content: bytes | None) -> httpx.Response:
        try:
            answer = await self._http.request(method, path, headers=headers, content=content)
        except (httpx.ConnectError, httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError) as error:
            raise PredictorUnavailable(
                f"the predictor at {self._base_url} cannot be reached: {error!r}", retry_after_s=1
            ) from error
        except httpx.DecodingError as error:
            raise PredictorFault(f"the predictor's answer cannot be unpacked: {error}") from error
        if answer.status_code == HTTPStatus.OK:
            return answer
        raise self._translate(answer)

    def _translate(self, answer: httpx.Response) -> ServingError:
        """Give the predictor's status its meaning for the transformer's own caller."""
        said = answer.text[:300]
        code = _CODE.search(said)
        details: dict[str, Any] = {"predictor_code": code[1]} if code else {}
        match answer.status_code:
            case HTTPStatus.SERVICE_UNAVAILABLE:
                return PredictorUnavailable(f"the predictor at {self._base_url}: {said}", retry_after_s=1, **details)
            case HTTPStatus.NOT_FOUND:
                details.setdefault("predictor_code", ModelNotFound.code)
                return PredictorUnavailable(
                    f"the predictor at {self._base_url} does not have the model: {said}", **details
                )
            case HTTPStatus.TOO_MANY_REQUESTS:
                return Overloaded(f"the predictor's queue is full: {said}", retry_after_s=1)
            case HTTPStatus.GATEWAY_TIMEOUT:
                return DeadlineExceeded("the predictor did not answer in the time that was given")
            case status:
                refused = status == HTTPStatus.BAD_REQUEST
                return PredictorFault(f"the predictor answered {status}: {said}", refused=refused)


def _path(model: str, version: str | None) -> str:
    return f"/v2/models/{model}" if version is None else f"/v2/models/{model}/versions/{version}"
