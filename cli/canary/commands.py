"""The commands of `kserve-vision canary`, and their options."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from cli.canary.comparing import http_client, read_directories, told, told_by_servers
from cli.canary.report import print_observed, to_json
from cli.canary.session import STAYS, Manner, connect_objects, go, take_all
from cli.cluster.ending import console, sentences
from cli.cluster.options import Context, Kubeconfig, Namespace, ServiceName, System
from cli.cluster.storage import neighbours_of
from cli.usage import PlainCommand
from rollout import Candidate, NotPossible, Observed, Phase, Stalled, Step, Traffic, Wait, traffic_of
from rollout.traffic import check_percent

app = typer.Typer(
    help="A second version of a model beside the one that serves: give it a share, promote it, or go back.",
    no_args_is_help=True,
)

Percent = Annotated[int, typer.Option(help="The candidate's share of the traffic, 0 to 99.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be written, and write nothing.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Write without asking.")]
Timeout = Annotated[float, typer.Option(min=1, help="Seconds to wait for pods at most.")]
DespiteEdits = Annotated[
    bool, typer.Option("--despite-edits", help="Go on where somebody edited the InferenceService since the start.")
]
Output = Annotated[str, typer.Option("--output", "-o", help="table, or json.", metavar="table|json")]
Copy = Annotated[
    Path | None, typer.Option(exists=True, file_okay=False, help="A copy of the version's model directory.")
]


@app.command(cls=PlainCommand)
def start(  # noqa: PLR0913  # each is a flag
    name: ServiceName,
    *,
    uri: Annotated[str, typer.Option(help="Where KServe finds the candidate's model directory.")],
    percent: Percent = 10,
    version_name: Annotated[str, typer.Option(help="What the candidate is called; by default made of --uri.")] = "",
    stable_dir: Copy = None,
    candidate_dir: Copy = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    timeout: Timeout = 600,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: Namespace = None,
    kserve_namespace: System = "kserve",
) -> None:
    """Bring up a second version, and give it its share of the traffic once it is ready."""
    err = console(to_err=True)
    with sentences(err, STAYS):
        check_percent(percent)
        facts = read_directories(stable_dir, candidate_dir)
        traffic = _traffic(name, kubeconfig, context, namespace, kserve_namespace)
        before = traffic.read()
        for line in told(facts):
            err.print(line, soft_wrap=True)
        if neighbours := neighbours_of(uri):
            err.print(neighbours, style="yellow", soft_wrap=True)
        candidate, manner = Candidate(uri, percent, version_name, facts), Manner(dry_run, yes, timeout)
        try:
            done = go(traffic, lambda: traffic.start(candidate), manner, err)
        except Stalled as stalled:
            if stalled.waits != Wait.ROUTE or before.phase not in (Phase.NONE, Phase.RECORDED):
                raise  # else it may have served already: nobody but its owner takes it away
            take_all(traffic, traffic.abort, manner, err)
            raise NotPossible(
                "KServe made the candidate's pods, and did not put them into the HTTPRoute: this KServe makes no split "
                "in Standard mode. The stable version was restored, and the candidate is gone"
            ) from stalled
        if done:
            observed = _print(traffic)
            for line in told_by_servers(observed, http_client) if facts == (None, None) else ():
                err.print(line, soft_wrap=True)


@app.command("set", cls=PlainCommand)
def set_percent(  # noqa: PLR0913  # each is a flag
    name: ServiceName,
    *,
    percent: Percent,
    despite_edits: DespiteEdits = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    timeout: Timeout = 600,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: Namespace = None,
) -> None:
    """Give the candidate another share of the traffic."""
    with sentences(console(to_err=True), STAYS):
        check_percent(percent)
        traffic = _traffic(name, kubeconfig, context, namespace)
        manner = Manner(dry_run, yes, timeout)
        _carry_out(traffic, lambda: traffic.set_percent(percent, despite_edits=despite_edits), manner)


@app.command(cls=PlainCommand)
def status(
    name: ServiceName,
    *,
    output: Output = "table",
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: Namespace = None,
) -> None:
    """Say which versions run, and what traffic each gets, as whoever routes it says."""
    if output not in {"table", "json"}:
        raise typer.BadParameter(f"--output {output}: table or json is expected")
    with sentences(console(to_err=True), STAYS):
        traffic = _traffic(name, kubeconfig, context, namespace)
        if output == "json":
            typer.echo(json.dumps(to_json(traffic.read()), indent=2))
        else:
            _print(traffic)


@app.command(cls=PlainCommand)
def promote(  # noqa: PLR0913  # each is a flag
    name: ServiceName,
    *,
    despite_edits: DespiteEdits = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    timeout: Timeout = 600,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: Namespace = None,
) -> None:
    """Make the candidate the stable version."""
    with sentences(console(to_err=True), STAYS):
        traffic = _traffic(name, kubeconfig, context, namespace)
        _carry_out(traffic, lambda: traffic.promote(despite_edits=despite_edits), Manner(dry_run, yes, timeout))


@app.command(cls=PlainCommand)
def abort(  # noqa: PLR0913  # each is a flag
    name: ServiceName,
    *,
    despite_edits: DespiteEdits = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    timeout: Timeout = 600,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: Namespace = None,
) -> None:
    """Take the candidate's traffic away, and restore the stable version as it was before the start."""
    with sentences(console(to_err=True), STAYS):
        traffic = _traffic(name, kubeconfig, context, namespace)
        _carry_out(traffic, lambda: traffic.abort(despite_edits=despite_edits), Manner(dry_run, yes, timeout))


def _traffic(
    name: str, kubeconfig: Path | None, context: str | None, namespace: str | None, kserve_namespace: str = "kserve"
) -> Traffic:
    objects, chosen = connect_objects(kubeconfig, context, namespace)
    return traffic_of(objects, chosen, name, kserve_namespace)


def _carry_out(traffic: Traffic, decide: Callable[[], Step], manner: Manner) -> None:
    if go(traffic, decide, manner, console(to_err=True)):
        _print(traffic)


def _print(traffic: Traffic) -> Observed:
    observed = traffic.read()
    print_observed(observed, console())
    return observed
