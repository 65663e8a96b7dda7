"""The two servers of one model, started together and stopped in the order that loses nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cli.processes import Ports, ServerProcess


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
    predictor_protocol: str = "grpc-v2"
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
        common = [
            f"--model_dir={options.model_dir}",
            f"--model_name={options.model_name}",
            f"--host={options.host}",
            "--drain_delay_seconds=0",
            "--log_format=json",
        ]
        self.host = options.host
        self.predictor = ServerProcess(
            "predictor",
            [
                *common,
                f"--http_port={options.predictor_http_port}",
                f"--grpc_port={options.predictor_grpc_port}",
                *options.predictor_flags,
            ],
            on_line,
            stopping,
        )
        try:
            ports = self.predictor.wait_ports()
            behind = ports.grpc if options.predictor_protocol == "grpc-v2" else ports.http
            self.transformer = ServerProcess(
                "transformer",
                [
                    *common,
                    f"--http_port={options.http_port}",
                    f"--grpc_port={options.grpc_port}",
                    f"--predictor_host={options.host}:{behind}",
                    f"--predictor_protocol={options.predictor_protocol}",
                    *options.transformer_flags,
                ],
                on_line,
                stopping,
            )
        except BaseException:
            self.predictor.stop()
            raise

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
        return self.transformer.stop(), self.predictor.stop()
