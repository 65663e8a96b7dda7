"""A run: the model, the stand, the search, and what is shown, printed and written of it."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from cli.bench.target import NoTarget
from cli.models import ensure_model
from cli.tune.block import Block
from cli.tune.conclusion import Conclusion, block_for, conclude
from cli.tune.options import Wish
from cli.tune.pace import RAMP_S, Pace
from cli.tune.remarks import remarks
from cli.tune.report import Report, plot_of, trial_report
from cli.tune.requests import prepare_pictures
from cli.tune.score import Bound
from cli.tune.stand import Failed, Stand, Stop
from cli.tune.tables import trial_table
from cli.tune.trial import Trial
from cli.tune.tuning import TooShort, Tuning
from cli.tune.writing import NotWritten, write
from load.child import Child
from load.machine import Machine, describe_machine
from load.plot import save
from serving.contract import CONTRACT_FILE, ModelDirectory, load_model_directory
from serving.contract.repository import is_repository
from serving.cpu import cpu_limit
from serving.errors import ContractInvalid

INTERRUPTED: Final = 130
"""The exit code of what Ctrl-C ended, as shells have it."""


class NoModel(ValueError):
    """What was given is no model directory; the message says what to give."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A search that has come to an end."""

    wish: Wish
    directory: ModelDirectory
    tuning: Tuning
    machine: Machine
    conclusion: Conclusion
    block: Block | None
    bound: Bound
    asked_with: str
    """What the pictures are."""


def run(wish: Wish, screen: Console, err: Console) -> int:
    """Do what the command line asks for, and return the exit code."""
    try:
        directory = _directory(wish, err)
        machine = describe_machine()
        with _stand(wish, directory) as stand:
            err.print(f"{machine}\n{directory.path.name}: {stand.pictures.source}", style="dim", soft_wrap=True)
            tuning = _search(wish, directory, stand, err)
        if tuning.bound is None or not tuning.default.short:
            err.print("Ended before anything was measured.", style="yellow")
            return INTERRUPTED
        ended = _end(wish, directory, tuning, machine, stand.pictures.source)
        _print(ended, screen, err)
        _write(ended, err)
    except (NoModel, NoTarget, ContractInvalid, Failed, TooShort, NotWritten, OSError) as error:
        err.print(error.message if isinstance(error, ContractInvalid) else str(error), style="bold red", soft_wrap=True)
        return 1
    return INTERRUPTED if tuning.stopped else 0


def _directory(wish: Wish, err: Console) -> ModelDirectory:
    path = Path(wish.model)
    if path.is_dir() and is_repository(path):
        inner = sorted(each.parent for each in path.glob(f"*/*/{CONTRACT_FILE}"))[:1]
        example = f", such as {inner[0]}" if inner else ""
        raise NoModel(f"{path} is a repository: name one of its model directories{example}")
    return load_model_directory(ensure_model(wish.model, err))


@contextmanager
def _stand(wish: Wish, directory: ModelDirectory) -> Iterator[Stand]:
    """Start a load generator; until the block ends, Ctrl-C ends a window instead of the process."""
    pictures = prepare_pictures(directory, wish.pictures)
    stop = Stop()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kserve-vision-tune-")))
        generator = stack.enter_context(Child())
        for number, handler in ((signal.SIGINT, stop), (signal.SIGTERM, signal.default_int_handler)):
            stack.callback(signal.signal, number, signal.signal(number, handler))
        yield Stand(directory, pictures, generator, folder, stop, RAMP_S)


def _search(wish: Wish, directory: ModelDirectory, stand: Stand, err: Console) -> Tuning:
    contract = directory.contract
    # Drawn once a second: drawing uses the CPUs that are being measured.
    with Live(console=err, refresh_per_second=1, auto_refresh=err.is_terminal, transient=True) as live:

        def show(doing: str) -> None:
            left = f"{doing} ... {max(0.0, tuning.left_s):.0f} s left"
            if err.is_terminal:
                live.update(
                    Group(trial_table(tuning.trials, tuning.bound, contract.runtime), Text(), Text(left, "dim"))
                )
            else:
                err.print(left, style="dim", soft_wrap=True)

        tuning = Tuning(
            stand=stand,
            contract=contract,
            pace=Pace(wish.seconds),
            budget_s=wish.budget_s,
            cpus=cpu_limit(),
            asked_bound=Bound(percentile="p99", ms=wish.p99) if wish.p99 is not None else None,
            device=wish.device.value,
            runtimes=tuple(dict.fromkeys((contract.runtime, *wish.engines))),
            show=show,
            tell=lambda what: err.print(what, style="dim", soft_wrap=True),
        )
        tuning.run()
    return tuning


def _end(wish: Wish, directory: ModelDirectory, tuning: Tuning, machine: Machine, asked_with: str) -> Ended:
    bound, contract = tuning.known_bound(), directory.contract
    conclusion = conclude(tuning.trials, tuning.contenders, bound, contract)
    best = conclusion.best
    block = block_for(best, tuning.default, bound, contract, (machine.cpu, tuning.cpus)) if best is not None else None
    return Ended(wish, directory, tuning, machine, conclusion, block, bound, asked_with)


def _print(ended: Ended, screen: Console, err: Console) -> None:
    """Show the table and the sentence; the sections alone go to standard output."""
    tuning, conclusion = ended.tuning, ended.conclusion
    err.print()
    err.print(trial_table(tuning.trials, ended.bound, ended.directory.contract.runtime, conclusion.best))
    err.print()
    if ended.wish.p99 is None:
        err.print(f"{ended.bound} is three times a lone request's median, as it is (--p99 gives a bound).", style="dim")
    for remark in _remarks(ended):
        err.print(remark, style="yellow", soft_wrap=True)
    err.print(conclusion.sentence, style="bold", soft_wrap=True)
    if ended.block is not None:
        screen.print(ended.block.text, end="", soft_wrap=True)


def _remarks(ended: Ended) -> Iterator[str]:
    tuning = ended.tuning
    if tuning.stopped:
        yield "It was ended before its time."
    if tuning.untried:
        yield f"There was no time for {tuning.untried} more candidates: a longer --budget tries them."
    counted = tuning.contenders or tuning.trials
    yield from remarks(counted, ended.bound, ended.directory.contract.runtime, ended.conclusion.best)


def _write(ended: Ended, err: Console) -> None:
    wish = ended.wish
    if wish.out is not None:
        wish.out.parent.mkdir(parents=True, exist_ok=True)
        wish.out.write_text(_report(ended).model_dump_json(indent=2) + "\n", encoding="utf-8")
        err.print(f"written: {wish.out}", style="dim", soft_wrap=True)
    if wish.plot is not None:
        _plot(ended, wish.plot, err)
    if wish.write and ended.block is not None:
        _write_contract(ended, ended.block, err)


def _write_contract(ended: Ended, block: Block, err: Console) -> None:
    best, path = ended.conclusion.best, ended.directory.path / CONTRACT_FILE
    if best is None or not ended.conclusion.is_sure:
        err.print(f"{path} was not written: that was not compared often enough.", style="yellow", soft_wrap=True)
        return
    try:
        written = write(path, block, best.candidate)
    except NotWritten as error:
        raise NotWritten(f"{path} was not written: {error}; paste the section above") from error
    err.print(f"written: {path}" if written else f"{path} says so already", style="dim", soft_wrap=True)


def _plot(ended: Ended, path: Path, err: Console) -> None:
    shown: Sequence[Trial] = ended.tuning.contenders
    title = f"Latency against throughput: {ended.directory.path.name}"
    plot = plot_of(title, shown or ended.tuning.trials, ended.bound, ended.directory.contract.runtime, ended.conclusion)
    path.parent.mkdir(parents=True, exist_ok=True)
    save(plot, path)
    err.print(f"drawn: {path}", style="dim", soft_wrap=True)


def _report(ended: Ended) -> Report:
    tuning, conclusion, said = ended.tuning, ended.conclusion, ended.directory.contract.runtime
    options: dict[str, Any] = TypeAdapter(Wish).dump_python(ended.wish, mode="json")
    return Report(
        machine=ended.machine,
        model=str(ended.directory.path),
        asked_with=ended.asked_with,
        plan=options,
        bound=ended.bound,
        trials=tuple(trial_report(each, ended.bound, said) for each in tuning.trials),
        untried=tuning.untried,
        finalists=tuple(each.name(said) for each in tuning.contenders[1:] if each.rounds),
        comparisons=conclusion.comparisons,
        best=conclusion.best.name(said) if conclusion.best else None,
        is_sure=conclusion.is_sure,
        sentence=conclusion.sentence,
        batching=dict(ended.block.batching) if ended.block else None,
        runtime=dict(ended.block.runtime) if ended.block and ended.block.runtime else None,
    )
