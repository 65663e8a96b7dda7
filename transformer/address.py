"""Where a predictor listens, as `PREDICTOR_HOST` says it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Final, Self

from serving.server.unix import MAX_PATH_BYTES

UNIX: Final = "unix:"
SCHEMES: Final = (UNIX, "dns:", "ipv4:", "ipv6:")
"""How gRPC's own names of addresses begin."""

_NAMED: Final = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+(%[\w.-]+)?\]|[^\s/:\[\]@?#%]+)(:(?P<port>[0-9]{1,5}))?")


def has_port(host: str) -> bool:
    """Whether `host` (a name, an IPv4 address, an IPv6 address in brackets, or gRPC's `scheme:...`) names its port."""
    return host.startswith(SCHEMES) or host.rpartition("]")[2].count(":") == 1


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a port, or the path of a Unix socket."""

    host: str = "localhost"
    port: int = 80
    unix_path: str | None = None

    @classmethod
    def parse(cls, text: str, default_port: int = 80) -> Self:
        """Read `HOST`, `HOST:PORT`, `[IPV6]:PORT`, or `unix:PATH`, which `unix:///PATH` is another spelling of.

        Raises:
            ValueError: it is none of these.
        """
        if text.startswith(UNIX):
            return cls(unix_path=_unix_path(text))
        match = _NAMED.fullmatch(text)
        port = int(match["port"] or default_port) if match else 0
        if match is None or not 0 < port < 2**16:
            raise ValueError(f"{text!r} is no address: give HOST, HOST:PORT, [IPV6]:PORT or unix:///PATH")
        host = match["host"].strip("[]")
        try:
            host.encode("idna")
        except UnicodeError as error:
            raise ValueError(f"{text!r} is no name of a host: {error}") from error
        return cls(host, port)

    def authority(self, default_port: int) -> str:
        """Return what HTTP's `Host` calls it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.unix_path or self.port == default_port else f"{host}:{self.port}"


def _unix_path(text: str) -> str:
    path = text.removeprefix(UNIX).removeprefix("//")
    if text.startswith("unix://") and not path.startswith("/"):
        raise ValueError(f"{text!r} names no path: unix:///PATH has three slashes, as PATH is absolute")
    if not path or "\0" in path:
        raise ValueError(f"{text!r} names no path: give unix:///PATH")
    if len(os.fsencode(path)) > MAX_PATH_BYTES:
        raise ValueError(f"{text!r}: the path of a Unix socket has {MAX_PATH_BYTES} bytes at most")
    return path
