"""What became of one request."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Protocol

NO_CONNECTION: Final = "no connection"
CONNECTION_CLOSED: Final = "connection closed"
NO_ANSWER: Final = "no answer in time"
UNREADABLE: Final = "unreadable answer"
TOO_LARGE: Final = "answer too large"
WRONG: Final = "200 wrong answer"
"""It has the status of a good one, and is not what the route gives."""

MAX_ANSWER_BYTES: Final = 64 * 2**20
"""The most bytes of one answer's body or message: a longer one is not read to its end."""

SAID_LENGTH: Final = 300
"""How much of an error's text is kept."""

_CODE: Final = re.compile(rb'"(?:code|error)" ?: ?"([A-Z][A-Z0-9_]{2,40})["\:]')
"""The code of an error body: of our own routes (`"code": "OVERLOADED"`) or of V2 (`"error": "OVERLOADED: ..."`)."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, or what came in its place."""

    is_ok: bool
    kind: str
    """The status, and the error's code where one is told: `200`, `429 OVERLOADED`, `RESOURCE_EXHAUSTED`; or one of the
    constants above."""
    length: int = 0
    """Bytes of the body or message."""
    said: str = ""
    """How one that is not OK begins."""
    retry_after_s: float | None = None
    """The seconds of `Retry-After`, where it was told so."""


class Refused(RuntimeError):
    """An answer was not OK, and the plan is to stop at the first."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"{answer.kind}: {answer.said}")
        self.answer = answer


class Connection(Protocol):
    """What a client sends through."""

    async def exchange(self, request: bytes) -> Answer:
        """Send a request, and return what became of it."""


class Clients(Protocol):
    """Gives connections to one server, and closes them."""

    def connect(self) -> Connection:
        """Return one more; it is opened by its first request."""

    async def close(self) -> None:
        """Close all."""


def code_of(body: bytes) -> str:
    """Return the code that an error's body tells; empty where it tells none."""
    found = _CODE.search(body)
    return found[1].decode() if found else ""
