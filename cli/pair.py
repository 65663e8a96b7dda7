"""The two servers of one model, started together and stopped in the order that loses nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from cli.processes import Ports, ServerProcess, common_flags


@dataclass(frozen=True, slots=True)
class PairOptions:
    """How the pair is started. A port of 0 takes a free one."""

    model_dir: Path
    model_name: str
    host: str = "127.0.0.1"
    http_port: int = 8080
    grpc_port: int = 8081
    predictor_http_port: int = 8090
    predictor_grpc_port: int = 8091
    predictor_protocol: str | None = None
    """How the transformer asks the predictor over TCP, `grpc-v2` or `v2`. Where it is not set: over REST on a Unix
    socket of their own, which costs both servers together the least."""
    predictor_flags: Sequence[str] = ()
    transformer_flags: Sequence[str] = ()


class ServerPair:
    """A predictor, and a transformer in front of it."""

    def __init__(
        self, options: PairOptions, on_line: Callable[[str, str], None], stopping: threading.Event | None = None
    ) -> None:
        """Start the predictor, learn its ports, and start the transformer; neither is ready yet.

        Raises:
            ServerFailed: one of them ended at once, for example because its port is taken.
            Stopped: `stopping` was set meanwhile.
        """
        common = common_flags(options.model_dir, options.model_name, options.host)
        self.host = options.host
        self._folder = TemporaryDirectory(prefix="kserve-vision-")
        unix_socket = Path(self._folder.name) / "predictor.sock"
        with ExitStack() as undo:
            undo.callback(self._folder.cleanup)
            self.predictor = ServerProcess(
                "predictor",
                [
                    *common,
                    f"--http_port={options.predictor_http_port}",
                    f"--grpc_port={options.predictor_grpc_port}",
                    f"--unix_socket={unix_socket}",
                    *options.predictor_flags,
                ],
                on_line,
                stopping,
            )
            undo.callback(self.predictor.stop)
            self.transformer = ServerProcess(
                "transformer",
                [
                    *common,
                    f"--http_port={options.http_port}",
                    f"--grpc_port={options.grpc_port}",
                    *_to_predictor(options, self.predictor.wait_ports(), unix_socket),
                    *options.transformer_flags,
                ],
                on_line,
                stopping,
            )
            undo.pop_all()

    def wait_ready(self, timeout_s: float = 120.0) -> tuple[Ports, Ports]:
        """Wait for both, and return the transformer's and the predictor's ports.

        Raises:
            ServerFailed: one of them ended, cannot serve its model, or took longer.
            Stopped: `stopping` was set.
        """
        self.predictor.wait_ready(self.host, timeout_s)
        self.transformer.wait_ready(self.host, timeout_s)
        return self.transformer.wait_ports(), self.predictor.wait_ports()

    def dead(self) -> ServerProcess | None:
        """Return a server that has ended, if one has."""
        return next((server for server in (self.transformer, self.predictor) if server.exit_code is not None), None)

    def stop(self) -> tuple[int, int]:
        """Stop the transformer, then the predictor that it asks; return their exit codes."""
        codes = self.transformer.stop(), self.predictor.stop()
        self._folder.cleanup()
        return codes


def _to_predictor(options: PairOptions, ports: Ports, unix_socket: Path) -> list[str]:
    if options.predictor_protocol is None:
        return [f"--predictor_host=unix://{unix_socket}", "--predictor_protocol=v2"]
    port = ports.grpc if options.predictor_protocol == "grpc-v2" else ports.http
    return [f"--predictor_host={options.host}:{port}", f"--predictor_protocol={options.predictor_protocol}"]
