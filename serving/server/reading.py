"""V2 requests out of their bodies: long JSON is read on a thread, so that the event loop answers others meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final

from starlette.requests import Request

from serving.errors import DeadlineExceeded
from serving.server.scope import call_of, headers_of
from serving.threads import Threads
from serving.v2 import InferRequest, rest

LONG_JSON_BYTES: Final = 64 * 1024
"""From how many bytes on JSON is long: what takes a millisecond or more where it is numbers."""

THREADS: Final = 2
"""How many long ones are read at a time; with one, the longest would hold up all others."""


class RequestReader:
    """Reads requests, long ones on threads of its own in the order in which they came."""

    def __init__(self) -> None:
        self._threads = Threads("json", THREADS)

    async def read(self, body: bytes, request: Request, name: str, version: str | None) -> InferRequest:
        """Read a V2 request's body.

        Raises:
            RequestInvalid, TensorInvalid: as `serving.v2.rest.decode_request`.
            DeadlineExceeded: the call's time was over before.
        """
        headers = headers_of(request)
        decode = partial(rest.decode_request, body, headers, name, version)
        if rest.json_length(body, headers) <= LONG_JSON_BYTES:
            return decode()
        try:
            async with asyncio.timeout(call_of(request).remaining_s()):
                return await self._read_on_thread(decode)
        except TimeoutError as error:
            raise DeadlineExceeded("the body was not read in the time that was given") from error

    async def close(self) -> None:
        """End the threads."""
        await self._threads.close()

    async def _read_on_thread(self, decode: Callable[[], InferRequest]) -> InferRequest:
        answer: asyncio.Future[InferRequest] = asyncio.get_running_loop().create_future()
        self._threads.start(partial(_work, answer, decode), partial(_settle, answer))
        try:
            return await answer
        finally:
            # An error holds this frame, and the frame the future that holds the error: a circle around the body.
            del answer


def _work(answer: asyncio.Future[InferRequest], decode: Callable[[], InferRequest]) -> InferRequest | None:
    return None if answer.cancelled() else decode()  # its caller is gone


def _settle(answer: asyncio.Future[InferRequest], result: InferRequest | None, error: Exception | None) -> None:
    if answer.done():
        return
    if error is not None:
        answer.set_exception(error)
    elif result is not None:
        answer.set_result(result)
