"""Where the CPU time of the busy servers goes: `python -m bench.profile` draws a flame graph of each.

The pair is loaded by eight clients while py-spy looks into one of the servers a few hundred times a second. Threads
that wait are left out, so that a share is one of the time in which something ran or wanted to. Written to `bench/out`:
`flame-transformer.svg` and `flame-predictor.svg`; printed: the functions that are on top most often.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Final

import typer

import zoo
from bench.flame import draw_flame_graph
from bench.pictures import make_pictures
from bench.requests import write_requests
from bench.servers import MODEL, Setup, running_pair
from load.child import Child
from load.plan import Closed, Plan, Server
from serving.contract import PIXELS, load_model_directory

OUT: Final = Path(__file__).parent / "out"
RATE: Final = 250
"""Looks a second; more would slow down what is looked at."""
CLIENTS: Final = 8
SERVERS: Final = ("transformer", "predictor")
TOP: Final = 20
SAMPLED: Final = (
    f"py-spy looked at every thread of the {{name}}'s process {RATE} times a second for {{seconds}} s, and never "
    "stopped it. Threads that wait are left out: the samples together are the time in which something ran or wanted to."
)

WAITING: Final = ("labour (serving/threads.py", "Runner.run (", "_poll_wrapper", "Condition.wait (", "Thread.run (")
"""How the last frame of a thread begins that has nothing to do: py-spy cannot always tell."""

_FILE: Final = re.compile(
    rf"\((?:.*/site-packages/|.*/python3\.\d+/|{re.escape(str(Path(__file__).parents[1]))}/)?(.+):\d+\)"
)
"""A frame's file and line: ours is named from the project's root, another from its package."""

Stack = tuple[str, ...]


def profile(
    seconds: Annotated[int, typer.Option(min=1, max=120, help="How long each server is looked at.")] = 15,
    out: Annotated[Path, typer.Option(help="The folder that the flame graphs are written to.")] = OUT,
) -> None:
    """Draw flame graphs of both servers under load, and print the functions that cost most."""
    out.mkdir(parents=True, exist_ok=True)
    model_dir = zoo.pull_cached(MODEL)
    with tempfile.TemporaryDirectory(prefix="kserve-vision-profile-") as folder:
        requests = write_requests(make_pictures(), load_model_directory(model_dir), MODEL, PIXELS, Path(folder))
        with Child() as generator, running_pair(Setup(model_dir)) as running:
            server = Server(protocol="http", host=running.host, port=running.transformer.http, route="predict")
            for name in SERVERS:
                plan = Plan(
                    server=server,
                    requests=requests.predict,
                    load=Closed(clients=CLIENTS),
                    ramp_seconds=1.0,
                    seconds=seconds + 1.0,
                )
                raw = Path(folder) / f"{name}.txt"
                with _looking_into(running.pids[name], seconds, raw):
                    generator.ask(plan)
                stacks = busy_stacks(raw.read_text(encoding="utf-8").splitlines())
                path = out / f"flame-{name}.svg"
                title = f"The {name}, while {CLIENTS} clients ask POST /predict"
                path.write_text(draw_flame_graph(stacks, title, SAMPLED.format(name=name, seconds=seconds)), "utf-8")
                _print_top(name, stacks, path)


def busy_stacks(lines: Iterable[str]) -> Counter[Stack]:
    """Return how often each stack was seen, outermost frame first, of those that do not wait.

    A line is `frame;frame;... count`, as `py-spy record --format raw` writes it.
    """
    stacks: Counter[Stack] = Counter()
    for line in lines:
        text, _, count = line.rpartition(" ")
        frames = tuple(_FILE.sub(r"(\1)", frame) for frame in text.split(";"))
        if frames[-1].startswith(WAITING) or not count.isdigit():
            continue
        stacks[frames] += int(count)
    return stacks


def _looking_into(pid: int, seconds: int, out: Path) -> subprocess.Popen[bytes]:
    """Begin to sample a process; the block ends when the sampling has."""
    command = [
        "record", "--pid", str(pid), "--duration", str(seconds), "--rate", str(RATE), "--format", "raw",
        "--nonblocking", "--full-filenames", "--output", str(out),
    ]  # fmt: skip
    py_spy = Path(sys.executable).with_name("py-spy")
    return subprocess.Popen([py_spy, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603


def _print_top(name: str, stacks: Counter[Stack], path: Path) -> None:
    whole = stacks.total()
    if not whole:
        typer.echo(f"nothing was seen of the {name}: may this user look into other processes (ptrace)?", err=True)
        raise typer.Exit(1)
    own: Counter[str] = Counter()
    for stack, count in stacks.items():
        own[stack[-1]] += count
    typer.echo(f"\n{name}: {whole} samples, drawn in {path}\n\n| share | function |\n|---|---|")
    for function, count in own.most_common(TOP):
        typer.echo(f"| {count / whole:.1%} | `{function}` |")


if __name__ == "__main__":
    typer.run(profile)
