"""What was measured, for people at a terminal."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from load.answer import WRONG
from load.plan import Closed, Open
from load.sample import Percentiles, Sample
from load.search import Found, Verdict

FEW: Final = 1000
"""Below so many answers, a 99.9th percentile is but the largest."""
LATE_SHARE: Final = 0.01
"""The share of requests that were sent late from which it is said loudly."""
LATE_PART: Final = 0.2
"""How late, as a part of the median latency, makes figures the generator's own."""
MB: Final = 1e6
_MESSAGE: Final = re.compile(r'"(?:message|error|detail)" ?: ?"(?:[A-Z][A-Z0-9_]+: )?((?:[^"\\]|\\.)+)')
NONE: Final = "-"


@dataclass(frozen=True, slots=True)
class Step:
    """One load, and what came of it."""

    load: Closed | Open
    sample: Sample


def latency_table(steps: Sequence[Step]) -> Table:
    """Return a row for each load: answers a second, and latencies in ms; with what was refused, a second row."""
    table = _table("load", "answers/s", "p50 ms", "p90", "p95", "p99", "p99.9", "max", "OK", "other")
    for step in steps:
        sample = step.sample
        table.add_row(
            str(step.load),
            digits(sample.per_second),
            *_latencies(sample.latency, sample.requests),
            str(sample.requests),
            Text(str(sample.refused or ""), style="bold yellow"),
        )
        if sample.refused:
            total = sample.requests + sample.refused
            table.add_row("  all answers", "", *_latencies(sample.latency_of_all, total), style="dim")
    return table


def cost_table(steps: Sequence[Step]) -> Table | None:
    """Return CPU ms of each process for one answer, a row for each load, and peak memory; None without processes."""
    names = [name for name in steps[0].sample.peak_bytes if name != "generator"] if steps else []
    if not names:
        return None
    table = _table("CPU ms an answer", *names, *(["together"] if len(names) > 1 else []), "generator")
    for step in steps:
        costs = step.sample.cpu_ms
        if not costs:
            continue
        together = [digits(sum(costs[name] for name in names))] if len(names) > 1 else []
        table.add_row(str(step.load), *(digits(costs[name]) for name in names), *together, digits(costs["generator"]))
    peaks = steps[-1].sample.peak_bytes
    together = [f"{sum(peaks[name] for name in names) / MB:.0f}"] if len(names) > 1 else []
    table.add_section()
    table.add_row("peak memory, MB", *(f"{peaks[name] / MB:.0f}" for name in names), *together)
    return table


def verdict_table(verdicts: Sequence[Verdict]) -> Table:
    """Return a row for each window of a search."""
    table = _table("rate", "answers/s", "p50 ms", "p99 ms", "holds")
    for verdict in verdicts:
        latency = verdict.sample.latency
        shown = [digits(latency.p50_ms), digits(latency.p99_ms)] if latency else [NONE, NONE]
        outcome = Text("yes", style="green") if verdict.holds else Text(f"no: {verdict.why_not}", style="yellow")
        table.add_row(f"{verdict.rate:.4g}/s", digits(verdict.sample.per_second), *shown, outcome)
    return table


def conclusion(found: Found, alone: Sample | None) -> str:
    """Say in a sentence what a search found; `alone` is one client's window where no rate holds."""
    bound = f"p99 ≤ {found.bound_ms:g} ms"
    if found.best is None:
        if alone is not None and alone.latency is not None and alone.latency.p99_ms > found.bound_ms:
            return f"No rate has {bound}: one client alone has a p99 of {digits(alone.latency.p99_ms)} ms."
        return f"No rate that was tried has {bound}."
    p99s = [window.sample.latency.p99_ms for window in found.windows_of_best if window.sample.latency]
    spread = digits(p99s[0]) if len(p99s) == 1 else f"{digits(min(p99s))} to {digits(max(p99s))}"
    beyond = f"; {found.fails:.4g}/s does not hold" if found.fails is not None else "; the search was not finished"
    return (
        f"{found.best.rate:.4g} requests/s is the most with {bound}: "
        f"p99 was {spread} ms in {len(p99s)} window{'s' if len(p99s) > 1 else ''}{beyond}."
    )


def remarks(steps: Sequence[Step], *, honours_retry_after: bool, is_search: bool) -> Iterator[Text]:
    """Yield what a reader must know beside the numbers."""
    yield from _errors(steps)
    yield from _retry_after(steps, honours_retry_after=honours_retry_after)
    if not is_search:  # which looks at it itself, window by window
        for step in steps:
            yield from _lateness(step)
    reconnected = sum(step.sample.reconnected for step in steps)
    if reconnected:
        yield Text(f"{reconnected} requests were sent twice: the server closed the idle connection as they came", "dim")


def _errors(steps: Sequence[Step]) -> Iterator[Text]:
    """Yield each kind of error once, with the server's own words."""
    said = {kind: words for step in reversed(steps) for kind, words in step.sample.said.items()}
    for kind, words in said.items():
        count = sum(step.sample.kinds.get(kind, 0) for step in steps)
        yield Text(f"{count} x {kind}: {words if kind == WRONG else _message(words)}", "yellow")


def _message(said: str) -> str:
    """Return the sentence in an error's JSON, whose end may be cut off; or what was said as it is."""
    found = _MESSAGE.search(said)
    return found[1].replace('\\"', '"') if found else said


def _retry_after(steps: Sequence[Step], *, honours_retry_after: bool) -> Iterator[Text]:
    count = sum(step.sample.retry_after for step in steps)
    if not count:
        return
    is_open = any(isinstance(step.load, Open) for step in steps)
    if is_open:
        did = "not honoured: an open loop's requests come when they come"
    elif honours_retry_after:
        did = "honoured: the client waited so long"
    else:
        did = "not honoured (--honour-retry-after does)"
    yield Text(f"{count} answers had a Retry-After, which was {did}", "dim")


def _lateness(step: Step) -> Iterator[Text]:
    late, answered = step.sample.lateness, step.sample.latency
    if late is None or late.share < LATE_SHARE:
        return
    unsent = f", and {late.unsent} never" if late.unsent else ""
    what = (
        f"{step.load}: {late.late} of {late.due} requests were sent late, by up to {digits(late.worst_ms)} ms{unsent}"
    )
    if late.is_crowded:
        why = "so many waited for an answer that the next had to wait too (--max-outstanding)"
        yield Text(f"{what}: {why}", "bold red")
    elif answered is None or late.worst_ms > LATE_PART * answered.p50_ms:
        why = "THE LOAD GENERATOR IS TOO SLOW here: these figures are its own rather than the server's"
        yield Text(f"{what}: {why}", "bold red")
    else:
        yield Text(f"{what}; that is part of their latencies", "dim")


def _latencies(found: Percentiles | None, count: int) -> list[str]:
    if found is None:
        return [NONE] * 6
    rare = digits(found.p999_ms) if count >= FEW else NONE
    return [*map(digits, (found.p50_ms, found.p90_ms, found.p95_ms, found.p99_ms)), rare, digits(found.max_ms)]


def _table(first: str, *others: str) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold", show_edge=False)
    table.add_column(first, no_wrap=True)
    for name in others:
        table.add_column(name, justify="left" if name == "holds" else "right", no_wrap=name != "holds")
    return table


def digits(value: float) -> str:
    """Return a number with three digits or so: more were not measured."""
    return f"{value:.{0 if value >= 100 else 1 if value >= 10 else 2}f}"  # noqa: PLR2004  # two and three digits
