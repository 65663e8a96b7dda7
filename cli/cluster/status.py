"""What `kserve-vision status` shows of an InferenceService."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cli.cluster.observed import Observed
from cli.cluster.pods import is_ready
from cli.cluster.traffic import Share, observed_shares, remarks
from cli.cluster.waiting import why_waiting
from cli.findings import printable
from rollout.mode import Mode

WIDE: Final = 120
"""Columns from which on a table can be read; below, each InferenceService is a block of lines."""


@dataclass(frozen=True, slots=True)
class Status:
    """One InferenceService."""

    name: str
    is_ready: bool
    mode: str
    shares: Sequence[Share]
    """The split that is observed; empty where nobody says."""
    ready_replicas: int | None
    """None where pods may not be read."""
    replicas: int
    """Asked for now."""
    model: str
    """Where the model comes from."""
    runtime: str
    url: str
    reason: str
    """Why it is not ready."""
    remarks: Sequence[str]
    """What is not as it was asked for."""
    withheld: Sequence[str]
    """What could not be read."""

    def to_json(self) -> dict[str, Any]:
        """Return JSON's values."""
        return {
            "name": self.name,
            "ready": self.is_ready,
            "mode": self.mode,
            "traffic": [{"to": each.to, "percent": round(each.percent, 2)} for each in self.shares],
            "replicas": {"ready": self.ready_replicas, "wanted": self.replicas},
            "model": self.model,
            "runtime": self.runtime,
            "url": self.url,
            "reason": self.reason,
            "remarks": list(self.remarks),
            "withheld": list(self.withheld),
        }


def status_of(seen: Observed) -> Status:
    """Tell how an InferenceService is."""
    waiting, shares = why_waiting(seen), observed_shares(seen)
    predictor = seen.service["spec"].get("predictor") or {}
    foreign = [] if seen.is_ours else [f"it is not served by a runtime of ours, but by {seen.runtime or 'its own'}"]
    pods_known = not any(" pods " in each for each in seen.withheld)
    return Status(
        name=seen.name,
        is_ready=waiting is None,
        mode=seen.mode.spelled if seen.mode else str(seen.status.get("deploymentMode", "")),
        shares=shares,
        ready_replicas=_ready(seen) if pods_known or seen.deployments else None,
        replicas=_wanted(seen),
        model=str((predictor.get("model") or {}).get("storageUri", "")),
        runtime=seen.runtime,
        url=str(seen.status.get("url", "")),
        reason="" if waiting is None else waiting.text,
        remarks=[*foreign, *remarks(seen, shares)],
        withheld=seen.withheld,
    )


def print_statuses(statuses: Sequence[Status], out: Console) -> None:
    """Print a table, or blocks of lines on a narrow terminal, and what is to be said of each."""
    if out.is_terminal and out.width < WIDE:
        for each in statuses:
            _print_block(each, out)
    else:
        table = Table("name", "ready", "mode", "traffic", "replicas", "model", box=None, pad_edge=False)
        for each in statuses:
            table.add_row(*(Text(text, style=style) for text, style in _cells(each)))
        out.print(table)
        for each in statuses:
            _print_remarks(each, out)
    for text in dict.fromkeys(text for each in statuses for text in each.withheld):
        out.print(f"not read: {printable(text)}", style="yellow", soft_wrap=True)


def _cells(status: Status) -> list[tuple[str, str]]:
    ready = ("yes", "green") if status.is_ready else ("no", "bold red")
    plain = (status.mode, _traffic(status), _replicas(status), status.model)
    return [(status.name, "bold"), ready, *((printable(text), "") for text in plain)]


def _print_block(status: Status, out: Console) -> None:
    for title, (text, style) in zip(("", "ready", "mode", "traffic", "replicas", "model"), _cells(status), strict=True):
        out.print(f"  {title}: {text}" if title else text, style=style, soft_wrap=True)
    _print_remarks(status, out)


def _print_remarks(status: Status, out: Console) -> None:
    if status.reason:
        out.print(f"{status.name} is not ready: {printable(status.reason)}", style="red", soft_wrap=True)
    for each in status.remarks:
        out.print(f"{status.name}: {printable(each)}", style="yellow", soft_wrap=True)
    if status.url and status.is_ready:
        out.print(f"{status.name}: {printable(status.url)}", style="dim", soft_wrap=True)


def _traffic(status: Status) -> str:
    return ", ".join(f"{each.to} {each.percent:g} %" for each in status.shares) or "-"


def _replicas(status: Status) -> str:
    return f"{'?' if status.ready_replicas is None else status.ready_replicas}/{status.replicas}"


def _ready(seen: Observed) -> int:
    if seen.mode is Mode.STANDARD:
        return sum((each.get("status") or {}).get("readyReplicas", 0) for each in seen.deployments)
    return sum(map(is_ready, seen.pods))


def _wanted(seen: Observed) -> int:
    if seen.mode is Mode.STANDARD:
        return sum(each["spec"].get("replicas", 1) for each in seen.deployments)
    return len([each for each in seen.pods if not each["metadata"].get("deletionTimestamp")])
