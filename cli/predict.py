"""`kserve-vision predict`: pictures to predictions, by a running server or in this process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cli.local import open_pipeline
from cli.models import ensure_model
from serving.call import Call
from serving.errors import ServingError
from serving.log import configure_logging

TIMEOUT_S = 60.0
LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one picture: its predictions, or an error."""

    picture: Path
    predictions: list[dict[str, Any]]
    error: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the outcome as JSON's values."""
        if self.error:
            return {"picture": str(self.picture), "error": self.error}
        return {"picture": str(self.picture), "predictions": self.predictions}


def predict(
    pictures: Annotated[list[Path], typer.Argument(help="Pictures.", exists=True, dir_okay=False, readable=True)],
    *,
    url: Annotated[str, typer.Option(help="The transformer's REST address.")] = "http://127.0.0.1:8080",
    model: Annotated[
        str | None, typer.Option(help="Load this model directory, or demo model, here; no server is asked.")
    ] = None,
    top_k: Annotated[int | None, typer.Option(min=1, help="How many classes; what the server says by default.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON for each picture.")] = False,
) -> None:
    """Predict pictures, by a running server (--url) or in this process (--model)."""
    console = Console(stderr=True, highlight=False, markup=False)
    outcomes: Iterable[Outcome] = (
        _ask_server(pictures, url, top_k, console)
        if model is None
        else _ask_here(pictures, ensure_model(model, console), top_k, console)
    )
    failed = False
    for outcome in outcomes:
        failed |= bool(outcome.error)
        if as_json:
            typer.echo(json.dumps(outcome.to_json(), ensure_ascii=False))
        else:
            _print(outcome, Console(highlight=False, markup=False), console)
    raise typer.Exit(int(failed))


def _ask_server(pictures: Sequence[Path], url: str, top_k: int | None, console: Console) -> Iterator[Outcome]:
    query = {} if top_k is None else {"top_k": top_k}
    url = url if "://" in url else f"http://{url}"
    on_this_machine = httpx.URL(url).host in LOOPBACK  # where no proxy of the environment is meant
    with httpx.Client(base_url=url, timeout=TIMEOUT_S, trust_env=not on_this_machine) as http:
        for picture in pictures:
            try:
                answer = http.post("/predict", params=query, files={"file": (picture.name, picture.read_bytes())})
            except httpx.TransportError as error:
                console.print(f"{url} does not answer ({error}): is `kserve-vision serve` running?", style="bold red")
                raise typer.Exit(1) from error
            yield _read_answer(picture, answer)


def _read_answer(picture: Path, answer: httpx.Response) -> Outcome:
    try:
        body = answer.json()
        if answer.is_success:
            return Outcome(picture, body["predictions"])
        return Outcome(picture, [], f"{body['error']['code']}: {body['error']['message']}")
    except (ValueError, KeyError, TypeError):
        return Outcome(picture, [], f"HTTP {answer.status_code}: {answer.text[:200]}")


def _ask_here(pictures: Sequence[Path], directory: Path, top_k: int | None, console: Console) -> list[Outcome]:
    async def ask_all() -> list[Outcome]:
        pipeline, options = await open_pipeline(directory, directory.name)
        options = options.overridden({} if top_k is None else {"top_k": top_k})
        outcomes = []
        for picture in pictures:
            try:
                answered = await pipeline.answer([picture.read_bytes()], options, Call.from_headers({}, "local"))
                outcomes.append(Outcome(picture, answered.answers[0].to_json()))
            except ServingError as error:
                outcomes.append(Outcome(picture, [], str(error)))
        await pipeline.queue.close()
        await pipeline.backend.close()
        return outcomes

    configure_logging("WARNING", "console", "local")
    try:
        return asyncio.run(ask_all())
    except ServingError as error:
        console.print(str(error), style="bold red", soft_wrap=True)
        raise typer.Exit(1) from error


def _print(outcome: Outcome, out: Console, err: Console) -> None:
    if outcome.error:
        err.print(f"{outcome.picture}: {outcome.error}", style="bold red", soft_wrap=True)
        return
    table = Table("label", "class", "score", box=None)
    for found in outcome.predictions:
        score = f"{found['score']:.4f} {_bar(found['score'])}"
        table.add_row(Text(found["label"]), str(found["class_id"]), score)
    out.print(str(outcome.picture), style="bold", soft_wrap=True)
    out.print(table)


def _bar(share: float, width: int = 20) -> str:
    return "█" * round(share * width)
