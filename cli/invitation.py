"""What `kserve-vision serve` says once its models can be asked."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from cli.processes import Asked, Ports


def invitation(
    host: str, models: Sequence[Asked], directories: Sequence[Path], ports: Ports, predictor: Ports | None
) -> str:
    """Tell how the models that are served can be asked; the first of them may be the default.

    There is no `predictor` where one process is both.
    """
    url = f"http://{host}:{ports.http}"
    names = [model.name for model in models]
    # The quotes are for zsh, which takes the question mark for a pattern.
    only = len(models) == 1 and models[0].is_default
    urls = [f"{url}/predict"] if only else [f"'{url}/predict?model={name}'" for name in names]
    listed = " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
    return (
        f"\n{listed} {'is' if len(names) == 1 else 'are'} served; try:\n\n"
        + "".join(f"  curl -F file=@picture.jpg {each}\n" for each in urls)
        + (f"  {_program()} predict picture.jpg --url {url}\n" if models[0].is_default else "")
        + f"  {url}/docs\n\n"
        + _addresses(host, ports, predictor)
        + "".join(f"model        {_home(directory)}\n" for directory in directories)
        + f"Ctrl-C stops {'both' if predictor else 'it'}.\n"
    )


def _addresses(host: str, ports: Ports, predictor: Ports | None) -> str:
    if predictor is None:
        return f"one process  REST {host}:{ports.http}  gRPC {host}:{ports.grpc}\n"
    return (
        f"transformer  REST {host}:{ports.http}  gRPC {host}:{ports.grpc}\n"
        f"predictor    REST {host}:{predictor.http}  gRPC {host}:{predictor.grpc}\n"
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
