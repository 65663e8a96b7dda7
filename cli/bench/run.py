"""A run: the servers where they are started for it, the windows, and what is shown and written of them."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from cli.bench.options import Protocol, Serving, Wish
from cli.bench.report import Report, StepReport, plot_of, search_report
from cli.bench.session import Manner, Session, open_session
from cli.bench.tables import Step, conclusion, cost_table, latency_table, remarks, verdict_table
from cli.bench.target import Asked, NoTarget, make_target
from cli.models import ensure_model
from cli.pair import PairOptions, ServerPair
from cli.processes import ServerFailed
from load.answer import NO_CONNECTION
from load.child import ChildFailed
from load.machine import Machine, describe_machine
from load.plan import Closed, Open
from load.plot import save
from load.sample import Sample
from load.search import Found, Search, Verdict

Show = Callable[[str], None]
"""Is told what is being measured, and shows it with what was."""

SATURATING: Final = 16
"""How many clients tell what a server can do at the most, before a search."""
INTERRUPTED: Final = 130
"""The exit code of what Ctrl-C ended, as shells have it."""


@dataclass(frozen=True, slots=True)
class Served:
    """The server to ask, its model, and those of its processes that are known."""

    url: str
    model: str | None
    pids: dict[str, int]


@dataclass
class Results:
    """What was measured so far."""

    steps: list[Step] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    found: Found | None = None

    def tables(self) -> RenderableType:
        """Return everything as tables."""
        parts: list[RenderableType] = [latency_table(self.steps)]
        cost = cost_table(self.steps)
        parts += [Text(), cost] if cost is not None else []
        parts += [Text(), verdict_table(self.verdicts)] if self.verdicts else []
        return Group(*parts)


def run(wish: Wish, screen: Console, err: Console) -> int:
    """Do what the command line asks for, and return the exit code."""
    machine, results = describe_machine(), Results()
    try:
        with ExitStack() as stack:
            # So that servers that were started are stopped.
            before = signal.signal(signal.SIGTERM, signal.default_int_handler)
            stack.callback(signal.signal, signal.SIGTERM, before)
            session = _open(wish, machine, stack, err)
            try:
                _measure(session, wish, results, screen)
            finally:
                _conclude(wish, results, screen)
        _write(wish, machine, session, results, err)
    except (NoTarget, ServerFailed, ChildFailed, OSError) as error:
        err.print(_sentence(error, wish), style="bold red", soft_wrap=True)
        return 1
    return INTERRUPTED if session.stopped else 0


def _open(wish: Wish, machine: Machine, stack: ExitStack, err: Console) -> Session:
    served = Served(wish.url, wish.model, {})
    if wish.serving is not None:
        served = stack.enter_context(_serving(wish.serving, wish.protocol, err))
    target = make_target(
        Asked(served.url, wish.protocol, served.model, wish.pictures, wish.shapes, wish.headers, wish.max_mb)
    )
    err.print(f"{machine}\n{target.what}", style="dim", soft_wrap=True)
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kserve-vision-bench-")))
    manner = Manner(
        wish.seconds, wish.warmup_s, wish.timeout_s, wish.arrivals, wish.max_outstanding, wish.honour_retry_after
    )
    session = stack.enter_context(open_session(target, manner, {**served.pids, **wish.pids}, folder))
    session.check()
    return session


@contextmanager
def _serving(serving: Serving, protocol: Protocol, err: Console) -> Iterator[Served]:
    """Run both servers on free ports until the block ends."""
    directory = ensure_model(serving.model, err)
    options = PairOptions(
        model_dir=directory,
        model_name=directory.name,
        http_port=0,
        grpc_port=0,
        predictor_http_port=0,
        predictor_grpc_port=0,
        predictor_flags=serving.predictor_flags,
        transformer_flags=serving.transformer_flags,
    )
    err.print(f"starting both servers for {directory.name} ...", style="dim", soft_wrap=True)
    pair = ServerPair(options, lambda _server, _line: None)
    try:
        transformer, predictor = pair.wait_ready()
        ports = predictor if serving.alone else transformer
        port = ports.grpc if protocol is Protocol.V2_GRPC else ports.http
        pids = {"transformer": pair.transformer.pid, "predictor": pair.predictor.pid}
        if serving.alone:
            del pids["transformer"]
        yield Served(f"http://{options.host}:{port}", directory.name, pids)
    finally:
        pair.stop()


def _measure(session: Session, wish: Wish, results: Results, screen: Console) -> None:
    screen.print()
    # Drawn once a second: drawing uses the CPUs that are being measured.
    with Live(console=screen, refresh_per_second=1, auto_refresh=screen.is_terminal) as live:

        def show(doing: str) -> None:
            now = [Text(), Text(f"{doing} ...", "dim")] if doing and screen.is_terminal else []
            live.update(Group(results.tables(), *now))

        if wish.find_p99 is None:
            _take(session, wish.loads, results, show)
        else:
            _search(session, wish.find_p99, results, show)
        show("")


def _take(session: Session, loads: Sequence[Closed | Open], results: Results, show: Show) -> None:
    for load in loads:
        if session.stopped:
            return
        show(str(load))
        results.steps.append(Step(load, session.window(load)))


def _search(session: Session, bound_ms: float, results: Results, show: Show) -> None:
    def on_verdict(verdict: Verdict) -> None:
        results.verdicts.append(verdict)
        show(f"searching, after {verdict.rate:.4g}/s")

    def window_at(rate: float) -> Sample:
        return session.window_at(rate, bound_ms)

    _take(session, [Closed(clients=1), Closed(clients=SATURATING)], results, show)
    if session.stopped:
        return
    alone, capacity = results.steps[0].sample, max(step.sample.per_second for step in results.steps)
    if not capacity or (alone.latency is not None and alone.latency.p50_ms > bound_ms):
        results.found = Found(bound_ms, (), None, None)
        return
    show(f"searching the most requests/s with p99 under {bound_ms:g} ms")
    results.found = Search(bound_ms, window_at, on_verdict).run(capacity)


def _conclude(wish: Wish, results: Results, screen: Console) -> None:
    screen.print()
    steps = [*results.steps, *(Step(_rate(verdict), verdict.sample) for verdict in results.verdicts)]
    for remark in remarks(steps, honours_retry_after=wish.honour_retry_after, is_search=wish.find_p99 is not None):
        screen.print(remark, soft_wrap=True)
    if results.found is not None:
        screen.print(conclusion(results.found, results.steps[0].sample), style="bold", soft_wrap=True)
    if any(step.sample.interrupted for step in results.steps):
        screen.print("The last window was ended before its time.", style="yellow")


def _rate(verdict: Verdict) -> Open:
    return Open(rate=verdict.rate)


def _write(wish: Wish, machine: Machine, session: Session, results: Results, err: Console) -> None:
    if wish.out is not None:
        report = Report(
            machine=machine,
            target=session.target.what,
            plan=_options(wish),
            steps=tuple(StepReport(load=step.load, sample=step.sample) for step in results.steps),
            search=search_report(results.found) if results.found else None,
        )
        wish.out.parent.mkdir(parents=True, exist_ok=True)
        wish.out.write_text(report.model_dump_json(indent=2) + "\n", encoding="utf-8")
        err.print(f"written: {wish.out}", style="dim", soft_wrap=True)
    if wish.plot is None:
        return
    wish.plot.parent.mkdir(parents=True, exist_ok=True)
    try:
        save(plot_of(f"Latency against throughput: {session.target.name}", results.steps, results.found), wish.plot)
    except ValueError as error:
        err.print(f"no plot: {error}", style="yellow", soft_wrap=True)
        return
    err.print(f"drawn: {wish.plot}", style="dim", soft_wrap=True)


def _options(wish: Wish) -> dict[str, Any]:
    """Return what was asked for as JSON's values."""
    options: dict[str, Any] = TypeAdapter(Wish).dump_python(wish, mode="json")
    return options


def _sentence(error: Exception, wish: Wish) -> str:
    text = str(error)
    if wish.serving is None and text.startswith(NO_CONNECTION):
        return (
            f"{wish.url} does not answer ({text.removeprefix(f'{NO_CONNECTION}: ')}): is `kserve-vision serve` running?"
        )
    return text
