"""`python -m bench`: measure, print the table, and write the JSON."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

import zoo
from bench.figures import SECTIONS
from bench.report import to_json, to_markdown, to_table
from bench.rounds import CLIENTS, Round
from bench.run import Plan, run
from bench.servers import MODEL
from cli.outputs import check_outputs
from cli.processes import ServerFailed
from load.child import ChildFailed
from load.machine import describe_machine
from load.sample import NothingMeasured

LATEST: Final = Path(__file__).parent / "out" / "latest.json"
QUICK_ROUNDS: Final = 2
QUICK_SECONDS: Final = 0.4


def bench(  # noqa: PLR0913  # each is a flag
    *,
    rounds: Annotated[int, typer.Option(min=1, help="How often every variant is measured.")] = 5,
    seconds: Annotated[float, typer.Option(min=0.1, help="How long every variant is measured in a round.")] = 1.0,
    clients: Annotated[str, typer.Option(help="Which of POST /predict's client counts are measured.")] = "1,8,32",
    quick: Annotated[
        bool, typer.Option("--quick", help="A look in a minute: 2 rounds of 0.4 s, and no endurance.")
    ] = False,
    endurance: Annotated[
        int, typer.Option(min=0, help="Requests to the pair whose memory is watched; 0 leaves that out.")
    ] = 10_000,
    out: Annotated[Path, typer.Option(help="The JSON file to write.")] = LATEST,
    predictor_flag: Annotated[list[str] | None, typer.Option(help="A flag for the predictor; may be repeated.")] = None,
    transformer_flag: Annotated[
        list[str] | None, typer.Option(help="A flag for the transformer; may be repeated.")
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Say what each figure means, and end.")] = False,
) -> None:
    """Measure the served path against the in-process limit, in three to four minutes."""
    console = Console(highlight=False)
    if explain:
        typer.echo(to_markdown(), nl=False)
        return
    check_outputs(out)
    plan = Plan(
        rounds=QUICK_ROUNDS if quick else rounds,
        seconds=QUICK_SECONDS if quick else seconds,
        clients=_client_counts(clients),
        endurance=0 if quick else endurance,
        predictor_flags=tuple(predictor_flag or ()),
        transformer_flags=tuple(transformer_flag or ()),
    )
    machine = describe_machine()
    console.print(f"{machine}\n", soft_wrap=True)
    started = time.monotonic()
    try:
        measured = _run(plan, console)
    except (ServerFailed, ChildFailed, NothingMeasured, zoo.ZooError) as error:
        console.print(str(error), style="bold red", soft_wrap=True)
        raise typer.Exit(1) from error
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(to_json(plan, machine, measured), encoding="utf-8")
    for section in SECTIONS:
        console.print(to_table(section, measured))
        console.print()
    console.print(
        f"Medians of {plan.rounds} rounds of {plan.seconds:g} s a variant, {time.monotonic() - started:.0f} s in all. "
        f"Ratios are made within a round. What each figure means: python -m bench --explain. Written to {out}.",
        soft_wrap=True,
    )


def _run(plan: Plan, console: Console) -> list[Round]:
    model_dir = zoo.pull_cached(MODEL)
    columns = TextColumn("{task.description:<40}"), BarColumn(), TimeElapsedColumn()
    # Redrawn once a second: drawing uses the CPUs that are being measured.
    with Progress(*columns, console=console, refresh_per_second=1, transient=True) as progress:
        task = progress.add_task("", total=plan.steps)

        def report(step: str) -> None:
            progress.update(task, advance=1, description=step)

        return run(plan, model_dir, report)


def _client_counts(text: str) -> tuple[int, ...]:
    counts = tuple(int(part) for part in text.split(",") if part.strip().isdecimal())
    if not counts or not set(counts) <= set(CLIENTS) or len(counts) != len(text.split(",")):
        raise typer.BadParameter(f"{text!r} names none, or others, of {', '.join(map(str, CLIENTS))}")
    return counts


if __name__ == "__main__":
    typer.run(bench)
