"""What a predictor's refusal means for the transformer's own caller: by its kind of status, and by its error's code.

The status says who is at fault, in HTTP as in gRPC. Our own predictor says its error's code too: in gRPC as the
trailing metadata `error-code`, in HTTP before the message. A foreign server has none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto
from http import HTTPStatus
from typing import Any, Final

import grpc
import orjson

from serving.errors import (
    ContractInvalid,
    DeadlineExceeded,
    DeviceLost,
    DeviceOutOfMemory,
    ModelLoadFailed,
    ModelNotFound,
    Overloaded,
    PredictorFault,
    PredictorUnavailable,
    ServingError,
)

RETRY_AFTER_S: Final = 1.0

LASTING: Final = frozenset(error.code for error in (ModelLoadFailed, ContractInvalid, DeviceLost))
"""What the next moment does not change: nobody is told to come back in it."""

UNCHANGED: Final = (DeviceOutOfMemory, Overloaded, DeadlineExceeded)
"""What is the same to the predictor's caller and to the transformer's."""

_ERROR: Final = re.compile(r'^\{"error":\s*"((?:([A-Z_]+): )?(?:[^"\\]|\\.)*)')
"""The begin of V2's error in JSON: its text, whose end may be cut off, and the code of our own predictor before it."""


class Kind(Enum):
    """What a status says, in either protocol."""

    AWAY = auto()
    MISSING = auto()
    BUSY = auto()
    LATE = auto()
    INVALID = auto()
    FAULT = auto()


_OF_HTTP: Final[dict[int, Kind]] = {
    HTTPStatus.SERVICE_UNAVAILABLE: Kind.AWAY,
    HTTPStatus.NOT_FOUND: Kind.MISSING,
    HTTPStatus.TOO_MANY_REQUESTS: Kind.BUSY,
    HTTPStatus.GATEWAY_TIMEOUT: Kind.LATE,
    HTTPStatus.BAD_REQUEST: Kind.INVALID,
}
_OF_GRPC: Final[dict[grpc.StatusCode, Kind]] = {
    grpc.StatusCode.UNAVAILABLE: Kind.AWAY,
    grpc.StatusCode.CANCELLED: Kind.AWAY,
    grpc.StatusCode.NOT_FOUND: Kind.MISSING,
    grpc.StatusCode.DEADLINE_EXCEEDED: Kind.LATE,
    grpc.StatusCode.INVALID_ARGUMENT: Kind.INVALID,
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refusal as it came."""

    kind: Kind
    status: str
    """The status, as its protocol names it."""
    said: str
    code: str | None
    """The code of our own predictor's error."""

    @classmethod
    def over_http(cls, status: int, said: str) -> Refusal:
        """Read an HTTP answer; `said` is the begin of its body."""
        kind, error = _OF_HTTP.get(status, Kind.FAULT), _ERROR.match(said)
        if error is None:
            return cls(kind, str(status), said, None)
        return cls(kind, str(status), _unescaped(error[1]), error[2])

    @classmethod
    def over_grpc(cls, status: grpc.StatusCode, said: str, code: str | None) -> Refusal:
        """Read a gRPC status, its details and its `error-code`."""
        # gRPC itself says RESOURCE_EXHAUSTED of a message that is too large.
        kind = Kind.BUSY if code == Overloaded.code else _OF_GRPC.get(status, Kind.FAULT)
        return cls(kind, status.name, said, code)


def meaning_of(refusal: Refusal, where: str) -> ServingError:
    """Return what the transformer's caller is told; `where` names the predictor in the message."""
    said, code = refusal.said, refusal.code
    match refusal.kind:
        case Kind.AWAY if code == DeviceOutOfMemory.code:
            return DeviceOutOfMemory(f"{where}: {said}", retry_after_s=RETRY_AFTER_S)
        case Kind.AWAY:
            return PredictorUnavailable(
                f"{where}: {said}", retry_after_s=None if code in LASTING else RETRY_AFTER_S, **_details(code)
            )
        case Kind.MISSING:
            return PredictorUnavailable(
                f"{where} does not have the model: {said}", **_details(code or ModelNotFound.code)
            )
        case Kind.BUSY:
            return Overloaded(f"the predictor's queue is full: {said}", retry_after_s=RETRY_AFTER_S)
        case Kind.LATE:
            return DeadlineExceeded("the predictor did not answer in the time that was given")
        case _:
            return PredictorFault(
                f"the predictor answered {refusal.status}: {said}", refused=refusal.kind is Kind.INVALID
            )


def _unescaped(text: str) -> str:
    """Return what a JSON string says, which may be cut off within an escape; as it is where it is no JSON."""
    try:
        return str(orjson.loads(f'"{text}"'))
    except orjson.JSONDecodeError:
        return text


def _details(code: str | None) -> dict[str, Any]:
    return {"predictor_code": code} if code else {}
