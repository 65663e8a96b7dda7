"""The commands of `kserve-vision`."""

from __future__ import annotations

from typing import Annotated

import typer

from cli import models
from cli.bench.command import bench
from cli.canary import commands as canary
from cli.cluster.commands import COMMANDS, PANEL
from cli.inspect import inspect
from cli.predict import predict
from cli.serve import serve
from cli.tune.command import tune
from cli.usage import PlainCommand
from serving.version import __version__

app = typer.Typer(
    help="Serve ONNX vision models: pictures in, typed predictions out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for _command in (serve, predict, inspect, bench, tune):
    app.command(cls=PlainCommand)(_command)
for _name, _on_a_cluster in COMMANDS.items():
    app.command(_name, cls=PlainCommand, rich_help_panel=PANEL)(_on_a_cluster)
app.add_typer(models.app, name="models")
app.add_typer(canary.app, name="canary", rich_help_panel=PANEL)


def _print_version(asked: bool) -> None:  # noqa: FBT001  # typer's callback
    if asked:
        typer.echo(f"kserve-vision {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    *,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line."""
    app()
