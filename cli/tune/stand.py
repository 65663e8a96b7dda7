"""The stand: one predictor at a time, on free ports, under a load generator that stays."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Final

from cli.bench.session import Manner, Session
from cli.bench.target import NoTarget, Target
from cli.processes import ServerFailed, ServerProcess, parse_event
from cli.tune.requests import Pictures, target_at
from cli.tune.score import Curve, Level
from load.child import Child, ChildFailed
from load.encoded import write_files
from load.plan import Closed
from load.sample import NothingMeasured, Sample
from serving.contract import ModelDirectory

PREDICTOR: Final = "predictor"
"""The predictor's name among the processes."""
MODEL: Final = "model"
"""The model's name on the stand; a directory's own may be none."""
TIMEOUT_S: Final = 30.0
"""How long an answer is waited for."""
READY_S: Final = 1800.0
"""How long a predictor may load: TensorRT builds an engine for minutes."""
TOLD: Final = ("batch sizes", "engine")
"""The events of the predictor's log that say what it measured, and chose."""

NextClients = Callable[[Curve], int | None]
"""Says how many clients are measured next; None ends it."""


class Failed(RuntimeError):
    """A predictor could not be measured; the message says why."""


@dataclass
class Stop:
    """What Ctrl-C asks for: the end of the window, and no more. Asked twice, it does not wait."""

    asked: threading.Event = field(default_factory=threading.Event)
    session: Session | None = None

    def __call__(self, _number: int = signal.SIGINT, _frame: FrameType | None = None) -> None:
        """Ask for it."""
        if self.asked.is_set():
            raise KeyboardInterrupt
        self.asked.set()
        if self.session is not None:
            self.session.interrupt()


@dataclass(frozen=True, slots=True)
class Started:
    """A predictor that is ready."""

    session: Session
    pays: tuple[int, ...]
    """The sizes of batches that are worth it, as it measured them, in ascending order."""
    device: str
    load_s: float
    """Seconds from its start until it was ready."""

    def curve(self, seconds: float, next_clients: NextClients) -> Curve:
        """Measure one number of clients after the other, each for so many seconds; Ctrl-C ends it.

        Raises:
            Failed: the predictor answers nothing, or has ended.
        """
        levels: Curve = ()
        while not self.session.stopped and (clients := next_clients(levels)) is not None:
            sample = self._window(clients, seconds)
            if sample.interrupted:
                break
            levels = (*levels, Level(clients=clients, sample=sample))
        return levels

    def _window(self, clients: int, seconds: float) -> Sample:
        try:
            sample = self.session.window(Closed(clients=clients), seconds=seconds)
            if not sample.interrupted:
                sample.answered  # noqa: B018  # it raises
        except (ChildFailed, NothingMeasured) as error:
            said = next(iter(sample.said.values()), "") if isinstance(error, NothingMeasured) else ""
            raise Failed(said or str(error)) from error
        return sample


@dataclass(frozen=True, slots=True)
class Stand:
    """Where predictors of one model directory are measured."""

    directory: ModelDirectory
    pictures: Pictures
    generator: Child
    folder: Path
    """For the requests."""
    stop: Stop
    ramp_s: float

    @property
    def stopped(self) -> bool:
        """Whether Ctrl-C asked for an end."""
        return self.stop.asked.is_set()

    @contextmanager
    def serve(self, flags: Sequence[str]) -> Iterator[Started]:
        """Run a predictor until the block ends.

        Raises:
            Failed: it cannot load the model, or answer for it.
            Stopped: Ctrl-C came first.
        """
        heard = _Heard()
        began = time.monotonic()
        process = ServerProcess(PREDICTOR, self._flags(flags), heard, self.stop.asked)
        try:
            process.wait_ready(timeout_s=READY_S)
            load_s = time.monotonic() - began
            url = f"http://127.0.0.1:{process.wait_ports().http}"
            target = target_at(url, MODEL, self.directory, self.pictures)
            with self._session(target, process) as session:
                session.check()
                yield Started(session, heard.pays(), heard.device(), load_s)
        except (ServerFailed, ChildFailed, NoTarget, Failed) as error:
            raise Failed(_why(process, error)) from error
        finally:
            process.stop()

    @contextmanager
    def _session(self, target: Target, process: ServerProcess) -> Iterator[Session]:
        files = write_files(target.requests, self.folder, "request")
        manner = Manner(seconds=1.0, warmup_s=self.ramp_s, timeout_s=TIMEOUT_S)
        session = Session(target, manner, self.generator, files, {PREDICTOR: process.pid})
        self.stop.session = session
        try:
            if self.stopped:
                session.stopped = True
            yield session
        finally:
            self.stop.session = None

    def _flags(self, flags: Sequence[str]) -> list[str]:
        return [
            f"--model_dir={self.directory.path}",
            f"--model_name={MODEL}",
            "--host=127.0.0.1",
            "--http_port=0",
            "--grpc_port=0",
            "--drain_delay_seconds=0",
            "--log_format=json",
            "--log_level=INFO",
            *flags,
        ]


@dataclass(slots=True)
class _Heard:
    """What a predictor's log says of the model."""

    events: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __call__(self, _server: str, line: str) -> None:
        if any(name in line for name in TOLD):  # there is a line for each request too
            event = parse_event(line)
            self.events[str(event.get("event"))] = event

    def pays(self) -> tuple[int, ...]:
        event = self.events.get("batch sizes", {})
        best = int(event.get("best", 1))
        return tuple(sorted(size for size in map(int, event.get("ms", {})) if size <= best)) or (best,)

    def device(self) -> str:
        return str(self.events.get("engine", {}).get("device", "cpu"))


def _why(process: ServerProcess, error: Exception) -> str:
    """Return why a predictor could not be measured: an end that nobody asked for explains all else."""
    code = process.exit_code
    if code is None or isinstance(error, ServerFailed):
        return str(error).removeprefix("the predictor cannot serve: ")
    ending = f"was killed ({signal.Signals(-code).name})" if code < 0 else f"ended with exit code {code}"
    return f"the predictor {ending} under load" + (", for lack of memory perhaps" if code == -signal.SIGKILL else "")
