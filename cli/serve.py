"""`kserve-vision serve`: both servers on this machine."""

from __future__ import annotations

import shutil
import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Annotated, Final

import typer
from rich.console import Console

from cli.log import ReadableLog
from cli.models import ensure_model
from cli.pair import PairOptions, ServerPair
from cli.processes import Ports, ServerFailed, Stopped

DEFAULT_MODEL: Final = "efficientnet-lite0"
WATCH_S: Final = 0.5


def serve(  # noqa: PLR0913  # each is a flag
    model: Annotated[
        str, typer.Argument(help="A model directory, or the name of a demo model (`kserve-vision models list`).")
    ] = DEFAULT_MODEL,
    *,
    name: Annotated[
        str | None, typer.Option(help="The model's name in the routes; the directory's by default.")
    ] = None,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    http_port: Annotated[int, typer.Option(help="The transformer's REST port; 0 takes a free one.")] = 8080,
    grpc_port: Annotated[int, typer.Option(help="The transformer's gRPC port; 0 takes a free one.")] = 8081,
    predictor_http_port: Annotated[int, typer.Option(help="The predictor's REST port; 0 takes a free one.")] = 8090,
    predictor_grpc_port: Annotated[int, typer.Option(help="The predictor's gRPC port; 0 takes a free one.")] = 8091,
    ready_timeout: Annotated[float, typer.Option(help="Seconds that the servers may take until they are ready.")] = 600,
) -> None:
    """Serve a model: a predictor, and a transformer in front of it, until Ctrl-C.

    Every other setting of the servers can be given as an environment variable (DEVICE=cuda, TOP_K=3, ...).
    """
    console = Console(stderr=True, highlight=False, markup=False)
    directory = ensure_model(model, console)
    stop = _stop_on_signals()
    options = PairOptions(
        model_dir=directory,
        model_name=name or directory.name,
        host=host,
        http_port=http_port,
        grpc_port=grpc_port,
        predictor_http_port=predictor_http_port,
        predictor_grpc_port=predictor_grpc_port,
    )
    raise typer.Exit(_run(options, ready_timeout, stop, console))


def _run(options: PairOptions, ready_timeout_s: float, stop: threading.Event, console: Console) -> int:
    try:
        pair = ServerPair(options, ReadableLog(console), stop)
    except Stopped:
        return 0
    except ServerFailed as error:
        console.print(str(error), style="bold red", soft_wrap=True)
        return 1
    code = 0
    try:
        ports, predictor_ports = pair.wait_ready(ready_timeout_s)
        console.print(_invitation(options, ports, predictor_ports), soft_wrap=True)
        while not stop.wait(WATCH_S):
            dead = pair.dead()
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
        codes = pair.stop()
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


def _invitation(options: PairOptions, ports: Ports, predictor: Ports) -> str:
    url = f"http://{options.host}:{ports.http}"
    return (
        f"\n{options.model_name} is served; try it:\n\n"
        f"  curl -F file=@picture.jpg {url}/predict\n"
        f"  {_program()} predict picture.jpg --url {url}\n"
        f"  {url}/docs\n\n"
        f"transformer  REST {options.host}:{ports.http}  gRPC {options.host}:{ports.grpc}\n"
        f"predictor    REST {options.host}:{predictor.http}  gRPC {options.host}:{predictor.grpc}\n"
        f"model        {_home(options.model_dir)}\n"
        f"Ctrl-C stops both.\n"
    )


def _program() -> str:
    """How this shell can call the command: by its name, or by its path in a virtual environment that is not active."""
    if shutil.which("kserve-vision"):
        return "kserve-vision"
    beside = Path(sys.executable).with_name("kserve-vision")
    return str(beside.relative_to(Path.cwd()) if beside.is_relative_to(Path.cwd()) else beside)


def _home(path: Path) -> str:
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)
