"""Whether the server in this container answers: exit code 0 if so. The image's HEALTHCHECK, without a shell or curl.

It asks on the port and in the scheme that the server was started with, by flags or by variables.
"""

from __future__ import annotations

import http.client
import os
import ssl
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

ROUTE: Final = "/v2/health/live"
PATIENCE_S: Final = 3.0
DEFAULT_PORT: Final = "8080"


def main() -> int:
    """Ask once."""
    command = Path("/proc/1/cmdline").read_bytes().decode().split("\0")
    port = int(setting(command, os.environ, "http_port", "port") or DEFAULT_PORT)
    encrypted = setting(command, os.environ, "ssl_certfile", "kserve_tls_cert_file")
    try:
        status = ask(port, encrypted=encrypted is not None)
    except (OSError, http.client.HTTPException) as error:
        sys.stderr.write(f"port {port} does not answer: {error}\n")
        return 1
    sys.stdout.write(f"{ROUTE} answers {status}\n")
    return 0 if status == http.HTTPStatus.OK else 1


def setting(command: Sequence[str], environ: Mapping[str, str], *names: str) -> str | None:
    """What a setting was given: the flag, which wins, or the variable."""
    for position, word in enumerate(command):
        flag, has_value, value = word.partition("=")
        if flag.startswith("--") and flag[2:].replace("-", "_") in names:
            return value if has_value else command[position + 1]
    variables = {name.lower(): value for name, value in environ.items() if value}
    return next((variables[name] for name in names if name in variables), None)


def ask(port: int, *, encrypted: bool) -> int:
    """Return the status of the liveness route on this machine's own address."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    if encrypted:
        # The certificate is for the name that others know this server by.
        unchecked = ssl._create_unverified_context()  # noqa: S323, SLF001
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=PATIENCE_S, context=unchecked)
    connection.request("GET", ROUTE)
    return connection.getresponse().status


if __name__ == "__main__":
    sys.exit(main())
