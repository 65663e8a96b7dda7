"""`kserve-vision serve`: both servers on this machine, as two processes or as one."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Annotated, Final

import typer
from rich.console import Console

from cli.invitation import invitation
from cli.log import ReadableLog
from cli.models import ensure_model
from cli.one_process import OneOptions, OneProcess
from cli.pair import PairOptions, ServerPair
from cli.processes import ServerFailed, Stopped, ask_models
from cli.several import NotSideBySide, side_by_side

Start = Callable[[ReadableLog, threading.Event], ServerPair | OneProcess]
"""Starts what serves: it is told where log lines go, and what ends the waiting for it."""

DEFAULT_MODELS: Final = ("efficientnet-lite0", "yolov4-tiny", "u2netp")
WATCH_S: Final = 0.5
PORTS_ADVICE: Final = (
    "of `kserve-vision serve`, --http-port and --grpc-port choose the transformer's ports, --predictor-http-port and "
    "--predictor-grpc-port the predictor's; 0 takes a free one"
)


def serve(  # noqa: PLR0913  # each is a flag
    models: Annotated[
        list[str] | None,
        typer.Argument(
            help="Model directories, or names of demo models (`kserve-vision models list`); or one repository, "
            f"NAME/VERSION/model.yaml. By default {', '.join(DEFAULT_MODELS)}."
        ),
    ] = None,
    *,
    name: Annotated[
        str | None,
        typer.Option(
            help="A single model's name in the routes, its directory's by default; or a repository's default."
        ),
    ] = None,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    http_port: Annotated[int, typer.Option(help="The transformer's REST port; 0 takes a free one.")] = 8080,
    grpc_port: Annotated[int, typer.Option(help="The transformer's gRPC port; 0 takes a free one.")] = 8081,
    predictor_http_port: Annotated[int, typer.Option(help="The predictor's REST port; 0 takes a free one.")] = 8090,
    predictor_grpc_port: Annotated[int, typer.Option(help="The predictor's gRPC port; 0 takes a free one.")] = 8091,
    one_process: Annotated[
        bool,
        typer.Option(
            "--one-process",
            help="Run both in one process, for a small machine: less memory and CPU. The predictor has no ports then.",
        ),
    ] = False,
    ready_timeout: Annotated[float, typer.Option(help="Seconds that the servers may take until they are ready.")] = 600,
) -> None:
    """Serve models: a predictor, and a transformer in front of it, until Ctrl-C.

    Every other setting of the servers can be given as an environment variable (DEVICE=cuda, TOP_K=3, ...).
    """
    console = Console(stderr=True, highlight=False, markup=False)
    directories = [ensure_model(model, console) for model in models or DEFAULT_MODELS]
    stop = _stop_on_signals()
    try:
        with side_by_side(directories, name) as (model_dir, model_name):
            if one_process:
                start: Start = partial(OneProcess, OneOptions(model_dir, model_name, host, http_port, grpc_port))
            else:
                pair = PairOptions(
                    model_dir=model_dir,
                    model_name=model_name,
                    host=host,
                    http_port=http_port,
                    grpc_port=grpc_port,
                    predictor_http_port=predictor_http_port,
                    predictor_grpc_port=predictor_grpc_port,
                )
                start = partial(ServerPair, pair)
            code = _run(start, directories, ready_timeout, stop, console)
    except NotSideBySide as error:
        console.print(str(error), style="bold red", soft_wrap=True)
        code = 1
    raise typer.Exit(code)


def _run(
    start: Start, directories: Sequence[Path], ready_timeout_s: float, stop: threading.Event, console: Console
) -> int:
    try:
        servers = start(ReadableLog(console), stop)
    except Stopped:
        return 0
    except ServerFailed as error:
        console.print(str(error), style="bold red", soft_wrap=True)
        if "cannot listen" in str(error):  # the server's own advice is of variables, which the flags here overrule
            console.print(PORTS_ADVICE, style="bold red", soft_wrap=True)
        return 1
    code = 0
    try:
        ports, predictor_ports = servers.wait_ready(ready_timeout_s)
        models = ask_models(servers.host, ports)
        for model in models:
            if model.reason:
                console.print(f"{model.name} is not served: {model.reason}", style="bold red", soft_wrap=True)
        served = [model for model in models if not model.reason]
        console.print(invitation(servers.host, served, directories, ports, predictor_ports), soft_wrap=True)
        while not stop.wait(WATCH_S):
            dead = servers.dead()
            if dead is not None:
                console.print(f"the {dead.name} {_ending(dead.exit_code or 0)}", style="bold red", soft_wrap=True)
                code = abs(dead.exit_code or 0) or 1
                break
    except Stopped:
        pass
    except ServerFailed as error:
        console.print(str(error), style="bold red", soft_wrap=True)
        code = 1
    finally:
        codes = servers.stop()
    return code or max(map(abs, codes))


def _ending(code: int) -> str:
    return f"was killed ({signal.Signals(-code).name})" if code < 0 else f"ended with exit code {code}"


def _stop_on_signals() -> threading.Event:
    stop = threading.Event()

    def request_stop(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, request_stop)
    return stop
