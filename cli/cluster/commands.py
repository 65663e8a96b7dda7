"""The commands, and their options. The cluster's client is imported only when one is run."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
import yaml
from rich.console import Console
from rich.text import Text

from cli.cluster.ending import INTERRUPTED, console, sentences
from cli.cluster.faults import ClusterFault
from cli.cluster.naming import check_length
from cli.cluster.options import (
    Context,
    Cpu,
    Env,
    Gpu,
    Kubeconfig,
    MaxReplicas,
    Memory,
    MinReplicas,
    Model,
    ModeOption,
    Name,
    Namespace,
    Runtime,
    ServiceAccount,
    ServiceName,
    StorageContainer,
    System,
    Uri,
)
from cli.cluster.rendering import Wish, fewest_replicas, inference_service
from cli.cluster.storage import neighbours_of
from cli.cluster.wishing import Asked, wish_of
from cli.findings import printable
from cli.reading import MAX_PICTURE_MB, read_picture
from rollout import NoCluster
from rollout.mode import Mode

if TYPE_CHECKING:
    from cli.cluster.observed import Observed
    from rollout.connection import Connection

ONE_REPLICA: Final = (
    "one replica: nobody answers while its node is drained, until its successor is ready, and a new version needs room "
    "for a second pod beside it; --min-replicas 2 keeps one that answers"
)


def render(  # noqa: PLR0913  # each is a flag
    model: Model,
    *,
    uri: Uri = None,
    name: Name = None,
    mode: ModeOption = None,
    gpu: Gpu = False,
    runtime: Runtime = None,
    min_replicas: MinReplicas = None,
    max_replicas: MaxReplicas = None,
    cpu: Cpu = None,
    memory: Memory = None,
    env: Env = None,
    service_account: ServiceAccount = None,
    storage_container: StorageContainer = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: Namespace = None,
    kserve_namespace: System = "kserve",
) -> None:
    """Print the InferenceService that `deploy` would apply, as YAML.

    With --mode, no cluster is asked.
    """
    err = console(to_err=True)
    with sentences(err):
        asked = Asked(
            model, uri, name, gpu, runtime, min_replicas, max_replicas, cpu, memory, env or (), service_account,
            storage_container, namespace,
        )  # fmt: skip
        wish = wish_of(asked, _saying(err))
        try:
            wish = _in_mode(wish, mode, lambda: _connect(kubeconfig, context, namespace), kserve_namespace)
        except NoCluster as error:
            raise NoCluster(f"{error}; or say --mode standard or --mode knative, and no cluster is asked") from error
        check_length(wish.name, wish.namespace or "default", wish.mode)
        typer.echo(yaml.safe_dump(inference_service(wish), sort_keys=False), nl=False)


def deploy(  # noqa: PLR0913  # each is a flag
    model: Model,
    *,
    uri: Uri = None,
    name: Name = None,
    mode: ModeOption = None,
    gpu: Gpu = False,
    runtime: Runtime = None,
    min_replicas: MinReplicas = None,
    max_replicas: MaxReplicas = None,
    cpu: Cpu = None,
    memory: Memory = None,
    env: Env = None,
    service_account: ServiceAccount = None,
    storage_container: StorageContainer = None,
    wait: Annotated[bool, typer.Option(help="Wait until it is ready.")] = True,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds to wait at most.")] = 600,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Let the cluster check it, and keep nothing.")] = False,
    force_conflicts: Annotated[
        bool, typer.Option("--force-conflicts", help="Take over fields that somebody else has set.")
    ] = False,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: Namespace = None,
    kserve_namespace: System = "kserve",
) -> None:
    """Serve a model on a cluster with KServe, and wait until it is ready, saying what for.

    MODEL_DIR is read and checked, and not sent: --uri says where the cluster finds it.
    """
    from cli.cluster.deploying import apply  # noqa: PLC0415  # the cluster's client, as in the commands below

    err = console(to_err=True)
    with sentences(err):
        asked = Asked(
            model, uri, name, gpu, runtime, min_replicas, max_replicas, cpu, memory, env or (), service_account,
            storage_container, namespace,
        )  # fmt: skip
        wish = wish_of(asked, _saying(err))
        connection = _connect(kubeconfig, context, namespace)
        wish = _in_mode(wish, mode, lambda: connection, kserve_namespace)
        check_length(wish.name, connection.namespace, wish.mode)
        if fewest_replicas(wish) == 1:
            err.print(ONE_REPLICA, style="yellow", soft_wrap=True)
        if neighbours := neighbours_of(wish.uri):
            err.print(neighbours, style="yellow", soft_wrap=True)
        apply(connection, wish, force=force_conflicts, dry_run=dry_run)
        said = "would be taken" if dry_run else "applied"
        err.print(f"InferenceService {wish.name} in namespace {connection.namespace}: {said}", soft_wrap=True)
        if wait and not dry_run:
            seen = _wait(connection, wish.name, timeout, err)
            _print_invitation(connection, seen, console())


def status(
    name: Annotated[str | None, typer.Argument(help="The InferenceService; all of ours by default.")] = None,
    *,
    output: Annotated[str, typer.Option("--output", "-o", help="table, or json.", metavar="table|json")] = "table",
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: Namespace = None,
) -> None:
    """Show InferenceServices: whether they are ready and why not, and how their traffic is really split.

    The exit code is 1 where one is not ready.
    """
    if output not in ("table", "json"):
        raise typer.BadParameter(f"--output {output}: table or json is expected")
    from cli.cluster.observed import observe  # noqa: PLC0415
    from cli.cluster.status import print_statuses, status_of  # noqa: PLC0415

    err, out = console(to_err=True), console()
    with sentences(err):
        connection = _connect(kubeconfig, context, namespace)
        found = observe(connection, name)
        if name is not None and not found:
            raise _missing(connection, name)
        statuses = [status_of(each) for each in found if name is not None or each.is_ours]
        if output == "json":
            typer.echo(json.dumps([each.to_json() for each in statuses], indent=2, ensure_ascii=False))
        elif statuses:
            print_statuses(statuses, out)
        else:
            err.print(f"no InferenceService of ours is in namespace {connection.namespace}", soft_wrap=True)
        raise typer.Exit(int(any(not each.is_ready for each in statuses)))


def logs(  # noqa: PLR0913  # each is a flag
    name: ServiceName,
    *,
    follow: Annotated[
        bool,
        typer.Option(
            "--follow", "-f", help="Go on as lines come, until the containers end. Pods that come later are not shown."
        ),
    ] = False,
    previous: Annotated[bool, typer.Option("--previous", help="Of the containers that ended before.")] = False,
    tail: Annotated[int | None, typer.Option(min=1, help="The last lines of each container only.")] = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: Namespace = None,
) -> None:
    """Show the logs of an InferenceService's pods: predictor, transformer, and what fetched the model."""
    if follow and previous:
        raise typer.BadParameter("--follow and --previous: what has ended before says nothing new")
    from cli.cluster.kinds import INFERENCE_SERVICE  # noqa: PLC0415
    from cli.cluster.logs import follow_logs, read_logs, sources  # noqa: PLC0415

    err, out = console(to_err=True), console()
    with sentences(err):
        connection = _connect(kubeconfig, context, namespace)
        found = sources(connection, name)
        if not found:
            if connection.get(INFERENCE_SERVICE, connection.namespace, name) is None:
                raise _missing(connection, name)
            raise ClusterFault(f"{name} has no pods: `kserve-vision status {name}` says why")
        lines = faults = 0
        to_end = follow_logs(connection, found, tail=tail)
        for line in to_end if follow else read_logs(connection, found, previous=previous, tail=tail):
            if line.is_fault:
                faults += 1
                err.print(f"{line.source.title}: {printable(line.text)}", style="yellow", soft_wrap=True)
                continue
            lines += 1
            out.print(Text.assemble((line.source.title, "cyan"), "  ", printable(line.text)), soft_wrap=True)
        raise typer.Exit(int(bool(faults) and not lines))


def try_picture(  # noqa: PLR0913  # each is a flag
    name: ServiceName,
    picture: Annotated[Path, typer.Argument(help="A picture.", exists=True, dir_okay=False, readable=True)],
    *,
    address: Annotated[
        str | None,
        typer.Option(help="HOST:PORT of the gateway, where the InferenceService's own host name is not known here."),
    ] = None,
    max_mb: Annotated[
        float, typer.Option(min=0.001, help="The largest picture that is read, in MiB.")
    ] = MAX_PICTURE_MB,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: Namespace = None,
) -> None:
    """Send a picture through an InferenceService's address: over REST, and over gRPC where it has a port for it."""
    from cli.cluster.observed import observe  # noqa: PLC0415
    from cli.cluster.trying import ask_grpc, ask_rest, ways  # noqa: PLC0415
    from cli.tables import table_of  # noqa: PLC0415

    err, out = console(to_err=True), console()
    with sentences(err):
        content = read_picture(picture, max_mb)
        connection = _connect(kubeconfig, context, namespace)
        found = observe(connection, name)
        if not found:
            raise _missing(connection, name)
        with ways(connection, found[0], address) as (rest, over_grpc):
            err.print(f"REST, by {rest.said}", style="dim", soft_wrap=True)
            out.print(table_of(ask_rest(rest, picture, content)))
            if over_grpc is None:
                err.print("gRPC: it has no port for it", style="dim", soft_wrap=True)
                return
            err.print(f"gRPC, by {over_grpc.said}", style="dim", soft_wrap=True)
            for line in ask_grpc(over_grpc, name, content):
                out.print(line, soft_wrap=True)


def doctor(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: Namespace = None,
    kserve_namespace: System = "kserve",
) -> None:
    """Say what of our features works on a cluster, and what silently would not.

    The exit code is 1 where no model could be served.
    """
    from cli.cluster.doctor import findings, print_findings  # noqa: PLC0415
    from cli.cluster.facts import look  # noqa: PLC0415

    err, out = console(to_err=True), console()
    with sentences(err):
        found = findings(look(_connect(kubeconfig, context, namespace), kserve_namespace))
        if as_json:
            typer.echo(json.dumps([each.to_json() for each in found], indent=2, ensure_ascii=False))
        else:
            print_findings(found, out)
        raise typer.Exit(int(any(each.is_needed and each.verdict.value != "ok" for each in found)))


def delete(
    name: ServiceName,
    *,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: Namespace = None,
) -> None:
    """Delete an InferenceService that a runtime of ours serves, with all that KServe made of it."""
    from cli.cluster.kinds import INFERENCE_SERVICE  # noqa: PLC0415
    from cli.cluster.observed import Observed  # noqa: PLC0415

    err = console(to_err=True)
    with sentences(err):
        connection = _connect(kubeconfig, context, namespace)
        there = connection.get(INFERENCE_SERVICE, connection.namespace, name)
        if there is None:
            raise _missing(connection, name)
        if not Observed(there).is_ours:
            raise ClusterFault(f"{name} is not served by a runtime of ours: `kubectl delete inferenceservice {name}`")
        connection.delete(INFERENCE_SERVICE, connection.namespace, name, there["metadata"]["uid"])
        err.print(f"InferenceService {name} in namespace {connection.namespace}: deleted", soft_wrap=True)


COMMANDS: Final[Mapping[str, Callable[..., None]]] = {
    "render": render,
    "deploy": deploy,
    "status": status,
    "logs": logs,
    "test": try_picture,
    "doctor": doctor,
    "delete": delete,
}
PANEL: Final = "On a cluster"


def _in_mode(wish: Wish, mode: Mode | None, connect: Callable[[], Connection], system: str) -> Wish:
    """The wish in the mode that is asked for, or that the cluster's KServe has by default."""
    spelled = ""
    if mode is None:
        from cli.cluster.facts import default_mode  # noqa: PLC0415

        mode, spelled = default_mode(connect(), system)
    if mode is Mode.STANDARD and wish.min_replicas == 0:
        raise typer.BadParameter(
            "--min-replicas 0: in Standard mode that needs KEDA and a metric to wake it by: see the chart kserve-vision"
        )
    return replace(wish, mode=mode, spelled=spelled)


def _wait(connection: Connection, name: str, timeout_s: float, err: Console) -> Observed:
    from cli.cluster.deploying import NotReady, wait_ready  # noqa: PLC0415
    from cli.cluster.progress import Progress  # noqa: PLC0415

    try:
        with Progress(err, time.monotonic) as progress:
            return wait_ready(connection, name, timeout_s, progress.say)
    except NotReady as error:
        stays = f"The InferenceService stays: `kserve-vision status {name}` looks again"
        raise NotReady(f"{name} is not ready: {error}. {stays}") from error
    except KeyboardInterrupt:
        err.print(
            f"\nnot waited for any longer. The InferenceService {name} stays, and KServe goes on: "
            f"`kserve-vision status {name}` says how it is, `kserve-vision delete {name}` takes it away",
            soft_wrap=True,
        )
        raise typer.Exit(INTERRUPTED) from None


def _print_invitation(connection: Connection, seen: Observed, out: Console) -> None:
    from cli.cluster.gateways import address_of  # noqa: PLC0415

    url = str(seen.status.get("url", ""))
    out.print(f"{seen.name} is ready: {url}", style="bold green", soft_wrap=True)
    if url:
        out.print(f"  curl -F file=@picture.jpg {url}/predict", soft_wrap=True)
        if address := address_of(connection, seen):
            host = url.partition("://")[2]
            out.print(f"  curl -H 'Host: {host}' -F file=@picture.jpg http://{address}/predict", soft_wrap=True)
    out.print(f"  kserve-vision test {seen.name} picture.jpg -n {seen.namespace}", soft_wrap=True)


def _connect(kubeconfig: Path | None, context: str | None, namespace: str | None) -> Connection:
    from rollout.kubeconfig import Target, connect  # noqa: PLC0415

    return connect(Target(kubeconfig, context, namespace))


def _missing(connection: Connection, name: str) -> ClusterFault:
    return ClusterFault(
        f"there is no InferenceService {name} in namespace {connection.namespace}: `kserve-vision status` lists ours, "
        "--namespace chooses another"
    )


def _saying(err: Console) -> Callable[[str], None]:
    return lambda text: err.print(printable(text), style="dim", soft_wrap=True)
