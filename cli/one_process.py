"""Both servers of a model as one process, where `cli/pair.py` has two."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from cli.processes import Ports, ServerProcess, common_flags

MODULE = "edge"


@dataclass(frozen=True, slots=True)
class OneOptions:
    """How the process is started. A port of 0 takes a free one."""

    model_dir: Path
    model_name: str
    host: str = "127.0.0.1"
    http_port: int = 8080
    grpc_port: int = 8081
    flags: Sequence[str] = ()


class OneProcess:
    """Transformer and predictor in one process."""

    def __init__(
        self, options: OneOptions, on_line: Callable[[str, str], None], stopping: threading.Event | None = None
    ) -> None:
        """Start it, and wait for its ports; it is not ready yet.

        Raises:
            ServerFailed: it ended at once, for example because a port is taken.
            Stopped: `stopping` was set meanwhile.
        """
        self.host = options.host
        self.server = ServerProcess(
            MODULE,
            [
                *common_flags(options.model_dir, options.model_name, options.host),
                f"--http_port={options.http_port}",
                f"--grpc_port={options.grpc_port}",
                *options.flags,
            ],
            on_line,
            stopping,
        )
        with ExitStack() as undo:
            undo.callback(self.server.stop)
            self.server.wait_ports()
            undo.pop_all()

    def wait_ready(self, timeout_s: float = 120.0) -> tuple[Ports, None]:
        """Wait for it, and return its ports; there are none of a predictor's.

        Raises:
            ServerFailed: it ended, cannot serve its model, or took longer.
            Stopped: `stopping` was set.
        """
        self.server.wait_ready(self.host, timeout_s)
        return self.server.wait_ports(), None

    def dead(self) -> ServerProcess | None:
        """Return it, if it has ended."""
        return self.server if self.server.exit_code is not None else None

    def stop(self) -> tuple[int]:
        """Stop it, and return its exit code."""
        return (self.server.stop(),)
