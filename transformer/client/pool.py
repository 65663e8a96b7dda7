"""The connections to one predictor.

The last one that was used is used next, so that few are open when few are needed. Each is used for a limited time from
when it was opened, and the next is opened to the next of the host's addresses: that keeps it from meeting the server's
own limit on idle connections, and lets a predictor that was scaled out get its share.
"""

from __future__ import annotations

import asyncio
import itertools
import ssl
from collections.abc import Awaitable, Callable, Sequence
from socket import SOCK_STREAM
from typing import Final

from serving.http_answer import Answer
from serving.http_connection import Connection, ConnectionFailed
from transformer.address import Address

MAX_IDLE: Final = 64
"""The most connections that are kept while nobody needs them."""

CONNECT_TIMEOUT_S: Final = 3.0
"""Seconds that one address has to accept a connection: TCP repeats its first packet after one."""


LookUp = Callable[[Address], Awaitable[list[str]]]
"""Finds the addresses behind a host's name."""


async def look_up(address: Address) -> list[str]:
    """Ask the system's resolver; OSError where it does not know the name."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(address.host, address.port, type=SOCK_STREAM)
    return [str(sockaddr[0]) for *_, sockaddr in found]


class Pool:
    """Asks one predictor, on as many connections as there are requests at a time."""

    def __init__(
        self,
        address: Address,
        tls: ssl.SSLContext | None,
        *,
        max_body_bytes: int,
        max_age_s: float,
        look_up: LookUp = look_up,
    ) -> None:
        self._address = address
        self._tls = tls
        self._max_body_bytes = max_body_bytes
        self._max_age_s = max_age_s
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()
        self._look_up = look_up
        self._turn = itertools.count()
        self._sweeping: asyncio.TimerHandle | None = None

    async def ask(self, parts: Sequence[bytes | memoryview]) -> Answer:
        """Send a request, its parts one behind the other, and return the answer.

        A connection that was kept may just be closed from the other side: then another is opened.

        Raises:
            ConnectionFailed: nobody accepts a connection, or it ended before the answer did.
            AnswerUnreadable, AnswerTooLarge: as their names say.
        """
        kept = self._take()
        if kept is not None:
            try:
                return await self._ask_on(kept, parts)
            except ConnectionFailed as failure:
                if not failure.unanswered:
                    raise
        return await self._ask_on(await self._connect(), parts)

    async def close(self) -> None:
        """Close all connections, also under a request."""
        self._disarm()
        self._idle.clear()
        for each in self._open:
            each.close()
        if self._open:
            await asyncio.wait([each.ended for each in self._open])

    async def _ask_on(self, connection: Connection, parts: Sequence[bytes | memoryview]) -> Answer:
        answer = await connection.ask(parts)
        if connection.is_open:
            self._keep(connection)
        return answer

    def _take(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open and not self._is_old(connection):
                return connection
            connection.close()
        return None

    def _keep(self, connection: Connection) -> None:
        if len(self._idle) == MAX_IDLE or self._is_old(connection):
            connection.close()
            return
        self._idle.append(connection)
        if self._sweeping is None:
            self._sweeping = asyncio.get_running_loop().call_later(self._max_age_s, self._sweep)

    def _is_old(self, connection: Connection) -> bool:
        return asyncio.get_running_loop().time() - connection.opened_at > self._max_age_s

    def _sweep(self) -> None:
        """Close what is old, also while nobody asks."""
        self._sweeping = None
        kept, self._idle = self._idle, []
        for each in kept:
            if each.is_open:
                self._keep(each)

    def _disarm(self) -> None:
        if self._sweeping is not None:
            self._sweeping.cancel()
            self._sweeping = None

    async def _connect(self) -> Connection:
        """Open a connection to the first address that accepts one, beginning with the one whose turn it is."""
        failures: list[str] = []
        for host in await self._hosts():
            try:
                async with asyncio.timeout(CONNECT_TIMEOUT_S):
                    return await self._connect_to(host)
            except TimeoutError:
                failures.append(f"{host} did not accept a connection in {CONNECT_TIMEOUT_S:g} s")
            except OSError as error:
                failures.append(str(error))
        raise ConnectionFailed("; ".join(failures), unanswered=True)

    async def _hosts(self) -> list[str]:
        """Return the addresses behind the host's name, in the order in which they are to be tried."""
        if self._address.unix_path:
            return [self._address.unix_path]
        try:
            hosts = await self._look_up(self._address)
        except OSError as error:
            raise ConnectionFailed(f"{self._address.host}: {error}", unanswered=True) from error
        first = next(self._turn) % len(hosts)
        return hosts[first:] + hosts[:first]

    async def _connect_to(self, host: str) -> Connection:
        loop = asyncio.get_running_loop()
        if self._address.unix_path:
            _, connection = await loop.create_unix_connection(self._make, host)
        else:
            name = self._address.host if self._tls else None
            _, connection = await loop.create_connection(
                self._make, host, self._address.port, ssl=self._tls, server_hostname=name
            )
        self._open.add(connection)
        connection.ended.add_done_callback(lambda _: self._open.discard(connection))
        return connection

    def _make(self) -> Connection:
        return Connection(self._max_body_bytes)
