"""The command, and its options."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from cli.outputs import check_outputs
from load.plan import MAX_SECONDS


def tune(  # noqa: PLR0913  # each is a flag
    model: Annotated[str, typer.Argument(help="A model directory, or a demo model.", metavar="MODEL_DIR")],
    pictures: Annotated[
        list[Path] | None,
        typer.Argument(help="Pictures, or folders of them; without any, some are generated.", exists=True),
    ] = None,
    *,
    p99: Annotated[
        float | None,
        typer.Option(
            help="The promise: the 99th percentile of latency, in ms. By default, the median may be three times "
            "that of a single client.",
            min=0.001,
        ),
    ] = None,
    device: Annotated[
        str, typer.Option(help="Where the model runs: auto, cpu, cuda, tensorrt, openvino or coreml.")
    ] = "auto",
    engine: Annotated[
        list[str] | None,
        typer.Option(
            help="Try this engine too, such as openvino or openvino:bf16, whose answers differ; may be repeated."
        ),
    ] = None,
    seconds: Annotated[
        float, typer.Option(help="How long each load of the final is measured.", min=0.1, max=MAX_SECONDS)
    ] = 3.0,
    budget: Annotated[float, typer.Option(help="Seconds that it may all take.", min=1, max=86_400)] = 300.0,
    out: Annotated[Path | None, typer.Option(help="Write what was measured, as JSON.", dir_okay=False)] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Write throughput against latency, as a PNG.", dir_okay=False)
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", help="Put what won into model.yaml; its comments and its order stay.")
    ] = False,
) -> None:
    """Find the batching, instances and threads that serve a model best on this machine.

    The predictor is started with one arrangement after the other, and loaded by more and more clients. What does the
    most rows a second within the bound is compared with model.yaml as it is, in rounds, and printed as a section to
    paste, unless the difference is noise. Keep the machine quiet meanwhile.

    Ctrl-C ends it early, with the best until then.
    """
    # Half a second of servers' code, which only this needs.
    from cli.tune.options import Wish, parse_engines  # noqa: PLC0415
    from cli.tune.run import run  # noqa: PLC0415
    from predictor.engines.device import Device  # noqa: PLC0415

    if device not in list(Device):
        raise typer.BadParameter(f"--device {device!r}: one of {', '.join(Device)} is expected")
    if not all(map(math.isfinite, (p99 or 1.0, seconds, budget))):
        raise typer.BadParameter("--p99, --seconds and --budget: numbers are expected")
    if write and not Path(model).is_dir():
        raise typer.BadParameter("--write needs a model directory of your own: `kserve-vision models pull` makes one")
    check_outputs(out, plot)
    wish = Wish(
        model=model,
        pictures=tuple(pictures or ()),
        p99=p99,
        device=Device(device),
        engines=parse_engines(engine or ()),
        seconds=seconds,
        budget_s=budget,
        out=out,
        plot=plot,
        write=write,
    )
    screen, err = (Console(stderr=to_err, highlight=False, markup=False) for to_err in (False, True))
    raise typer.Exit(run(wish, screen, err))
