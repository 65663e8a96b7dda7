"""The command, and its options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from cli.bench.options import (
    DEFAULT_CLIENTS,
    DEFAULT_GRPC,
    DEFAULT_HTTP,
    Arrivals,
    Protocol,
    Serving,
    Wish,
    parse_headers,
    parse_loads,
    parse_pids,
    parse_shapes,
)
from cli.outputs import check_outputs
from cli.reading import MAX_PICTURE_MB
from load.plan import MAX_SECONDS


def bench(  # noqa: PLR0913  # each is a flag
    pictures: Annotated[
        list[Path] | None,
        typer.Argument(help="Pictures, or folders of them; without any, some are generated.", exists=True),
    ] = None,
    *,
    url: Annotated[
        str | None, typer.Option(help=f"The server; by default {DEFAULT_HTTP}, or {DEFAULT_GRPC} over gRPC.")
    ] = None,
    serve: Annotated[
        str | None,
        typer.Option(help="Start both servers for this model directory, or demo model, and ask them.", metavar="MODEL"),
    ] = None,
    predictor_alone: Annotated[
        bool, typer.Option("--predictor-alone", help="With --serve: ask the predictor, without the transformer.")
    ] = False,
    predictor_flag: Annotated[
        list[str] | None, typer.Option(help="With --serve: a flag for the predictor; may be repeated.")
    ] = None,
    transformer_flag: Annotated[
        list[str] | None, typer.Option(help="With --serve: a flag for the transformer; may be repeated.")
    ] = None,
    protocol: Annotated[
        Protocol,
        typer.Option(
            help="http is POST /predict. The others are of any V2 server: REST with binary tensors, REST with JSON, "
            "gRPC; a model that takes no pictures is sent random tensors of the shapes in its metadata."
        ),
    ] = Protocol.HTTP,
    model: Annotated[str | None, typer.Option(help="The model that is asked, where the server has several.")] = None,
    shape: Annotated[
        list[str] | None,
        typer.Option(help="NAME=1,3,640,640: an input's shape, where the metadata leaves it open; may be repeated."),
    ] = None,
    header: Annotated[
        list[str] | None, typer.Option(help="'Name: value', sent with each request; may be repeated.")
    ] = None,
    max_mb: Annotated[
        float, typer.Option(help="The largest picture that is read, in MiB.", min=0.001)
    ] = MAX_PICTURE_MB,
    clients: Annotated[
        str | None,
        typer.Option(help=f"So many clients, each with one request at a time: {DEFAULT_CLIENTS} by default."),
    ] = None,
    rate: Annotated[
        str | None,
        typer.Option(help="So many requests a second, as 50,100,200, whether or not those before are answered."),
    ] = None,
    find_p99: Annotated[
        float | None,
        typer.Option(help="Search the most requests a second whose 99th percentile is under so many ms.", min=0.001),
    ] = None,
    arrivals: Annotated[
        Arrivals, typer.Option(help="How requests at a rate come: at random (poisson), or as a clock ticks.")
    ] = Arrivals.POISSON,
    seconds: Annotated[float, typer.Option(help="How long each load is measured.", min=0.1, max=MAX_SECONDS)] = 5.0,
    warmup: Annotated[
        float, typer.Option(help="Seconds under each load before it is measured.", min=0, max=MAX_SECONDS)
    ] = 1.0,
    timeout: Annotated[float, typer.Option(help="Seconds that an answer is waited for.", min=0.1, max=600)] = 30.0,
    max_outstanding: Annotated[
        int, typer.Option(help="The most requests at a rate that may wait for an answer.", min=1, max=20_000)
    ] = 1000,
    honour_retry_after: Annotated[
        bool, typer.Option("--honour-retry-after", help="A client that is told Retry-After waits so long.")
    ] = False,
    pid: Annotated[
        list[str] | None,
        typer.Option(help="NAME=PID: a server's process on this machine, whose CPU time and memory are shown."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write what was measured, as JSON.", dir_okay=False)] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Write throughput against latency, as a PNG.", dir_okay=False)
    ] = None,
) -> None:
    """Load a server, ours or any that speaks V2: answers a second, latencies, and CPU time for each.

    Clients that wait for their answers (--clients), requests at a rate (--rate), or a search (--find-p99).

    Ctrl-C ends it early, and shows what was measured.
    """
    from cli.bench.run import run  # noqa: PLC0415  # half a second of servers' code, which only this needs

    wish = Wish(
        url=url or (DEFAULT_GRPC if protocol is Protocol.V2_GRPC else DEFAULT_HTTP),
        serving=Serving(serve, tuple(predictor_flag or ()), tuple(transformer_flag or ()), alone=predictor_alone)
        if serve
        else None,
        protocol=protocol,
        model=model,
        pictures=tuple(pictures or ()),
        max_mb=max_mb,
        shapes=parse_shapes(shape or ()),
        headers=parse_headers(header or ()),
        loads=parse_loads(clients, rate, find_p99, arrivals, max_outstanding),
        find_p99=find_p99,
        arrivals=arrivals,
        seconds=seconds,
        warmup_s=warmup,
        timeout_s=timeout,
        max_outstanding=max_outstanding,
        honour_retry_after=honour_retry_after,
        pids=parse_pids(pid or ()),
        out=out,
        plot=plot,
    )
    _check(wish, url)
    check_outputs(out, plot)
    screen, err = (Console(stderr=to_err, highlight=False, markup=False) for to_err in (False, True))
    raise typer.Exit(run(wish, screen, err))


def _check(wish: Wish, url: str | None) -> None:
    if wish.serving is not None and url is not None:
        raise typer.BadParameter("--serve starts the servers, --url names one that runs: give one of them")
    if wish.serving is None:
        return
    if wish.serving.alone and wish.protocol is Protocol.HTTP:
        raise typer.BadParameter(
            "--predictor-alone: the predictor has no /predict; give --protocol v2-grpc, for example"
        )
