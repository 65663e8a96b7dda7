"""`kserve-vision predict`: pictures to predictions, by a running server or in this process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any

import httpx
import orjson
import typer
from rich.console import Console

from cli.album import Album
from cli.models import ensure_model
from cli.tables import table_of
from serving.call import Call
from serving.errors import RequestInvalid, ServingError
from serving.log import configure_logging
from transformer.drawing import DEFAULT_FORMAT

TIMEOUT_S = 60.0
LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one picture: its predictions, or an error."""

    picture: Path
    predictions: Any = None
    error: str = ""
    drawn: Path | None = None
    """The file of the picture with the predictions on it, where it was asked for."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of each picture."""

    top_k: int | None
    album: Album | None
    """Where drawn pictures go; None asks for none."""
    name: str | None
    """Of the model, where a server has several."""

    @property
    def query(self) -> dict[str, str]:
        """The query parameters of a server's routes."""
        given = {"top_k": self.top_k, "model": self.name}
        return {key: str(value) for key, value in given.items() if value is not None}


def predict(  # noqa: PLR0913  # each is a flag
    pictures: Annotated[list[Path], typer.Argument(help="Pictures.", exists=True, dir_okay=False, readable=True)],
    *,
    url: Annotated[str, typer.Option(help="The transformer's REST address.")] = "http://127.0.0.1:8080",
    name: Annotated[
        str | None, typer.Option(help="The model that the server is asked for, where it has several.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Load this model directory, or demo model, here; no server is asked.")
    ] = None,
    top_k: Annotated[int | None, typer.Option(min=1, help="How many classes; what the server says by default.")] = None,
    save: Annotated[
        Path | None, typer.Option(help="Write each picture, with its predictions drawn on it, into this folder.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON for each picture.")] = False,
) -> None:
    """Predict pictures, by a running server (--url) or in this process (--model)."""
    console = Console(stderr=True, highlight=False, markup=False)
    try:
        question = Question(top_k, None if save is None else Album(save, pictures), name)
        outcomes = (
            _ask_server(pictures, url, question, console)
            if model is None
            else _ask_here(pictures, ensure_model(model, console), question, console)
        )
        failed = False
        for outcome in outcomes:
            failed |= bool(outcome.error)
            if as_json:
                typer.echo(json.dumps(_to_json(outcome), ensure_ascii=False))
            else:
                _print(outcome, console)
    except OSError as error:
        console.print(str(error), style="bold red", soft_wrap=True)
        raise typer.Exit(1) from error
    raise typer.Exit(int(failed))


def _ask_server(pictures: Sequence[Path], url: str, question: Question, console: Console) -> Iterator[Outcome]:
    url = url if "://" in url else f"http://{url}"
    on_this_machine = httpx.URL(url).host in LOOPBACK  # where no proxy of the environment is meant
    with httpx.Client(base_url=url, timeout=TIMEOUT_S, trust_env=not on_this_machine) as http:
        for picture in pictures:
            try:
                yield _ask_for(http, picture, question)
            except httpx.TransportError as error:
                console.print(f"{url} does not answer ({error}): is `kserve-vision serve` running?", style="bold red")
                raise typer.Exit(1) from error


def _ask_for(http: httpx.Client, picture: Path, question: Question) -> Outcome:
    """Ask a server for the predictions, and, where they are to be drawn, once more for the picture."""
    content = picture.read_bytes()
    outcome = _read_answer(picture, http.post("/predict", params=question.query, files=_form(picture, content)))
    if outcome.error or question.album is None:
        return outcome
    drawn = http.post(
        "/predict",
        params=question.query | {"render": "true"},
        files=_form(picture, content),
        headers={"accept": DEFAULT_FORMAT.media_type},
    )
    if drawn.headers.get("content-type") == DEFAULT_FORMAT.media_type:
        return Outcome(picture, outcome.predictions, drawn=question.album.save(picture, drawn.content))
    if drawn.status_code == HTTPStatus.BAD_REQUEST:  # the same question was just answered: nothing of it can be drawn
        return outcome
    return _read_answer(picture, drawn)


def _form(picture: Path, content: bytes) -> dict[str, tuple[str, bytes]]:
    return {"file": (picture.name, content)}


def _read_answer(picture: Path, answer: httpx.Response) -> Outcome:
    try:
        body = answer.json()
        if answer.is_success:
            return Outcome(picture, body["predictions"])
        return Outcome(picture, error=f"{body['error']['code']}: {body['error']['message']}")
    except (ValueError, KeyError, TypeError):
        return Outcome(picture, error=f"HTTP {answer.status_code}: {answer.text[:200]}")


def _ask_here(pictures: Sequence[Path], directory: Path, question: Question, console: Console) -> list[Outcome]:
    async def ask_all() -> list[Outcome]:
        return [outcome async for outcome in predict_here(pictures, directory, question)]

    configure_logging("WARNING", "console", "local")
    try:
        return asyncio.run(ask_all())
    except ServingError as error:
        console.print(str(error), style="bold red", soft_wrap=True)
        raise typer.Exit(1) from error


async def predict_here(pictures: Sequence[Path], directory: Path, question: Question) -> AsyncIterator[Outcome]:
    """Load a model directory into this process, and predict the pictures one after another.

    Raises:
        ServingError: the model cannot be loaded.
    """
    from cli.local import open_pipeline  # noqa: PLC0415  # half a second of servers, which only this needs

    pipeline, options = await open_pipeline(directory, directory.name)
    options = options.overridden({"top_k": question.top_k})
    for picture in pictures:
        call = Call.from_headers({}, "local")
        content = picture.read_bytes()
        try:
            answered = await pipeline.answer([content], options, call)
            (answer,), (values,) = answered.answers, await pipeline.to_json(answered, call)
            predictions = orjson.loads(orjson.dumps(values, option=orjson.OPT_SERIALIZE_NUMPY))
            drawn = None
            if question.album is not None:
                with suppress(RequestInvalid):  # nothing of this task can be drawn
                    drawn = question.album.save(picture, await pipeline.draw(content, answer, DEFAULT_FORMAT, call))
            yield Outcome(picture, predictions, drawn=drawn)
        except ServingError as error:
            yield Outcome(picture, error=str(error))
    await pipeline.queue.close()
    await pipeline.backend.close()


def _to_json(outcome: Outcome) -> dict[str, Any]:
    if outcome.error:
        return {"picture": str(outcome.picture), "error": outcome.error}
    line = {"picture": str(outcome.picture), "predictions": outcome.predictions}
    return line if outcome.drawn is None else line | {"drawn": str(outcome.drawn)}


def _print(outcome: Outcome, err: Console) -> None:
    if outcome.error:
        err.print(f"{outcome.picture}: {outcome.error}", style="bold red", soft_wrap=True)
        return
    out = Console(highlight=False, markup=False)
    out.print(str(outcome.picture), style="bold", soft_wrap=True)
    out.print(table_of(outcome.predictions))
    if outcome.drawn is not None:
        out.print(f"drawn: {outcome.drawn}", style="dim", soft_wrap=True)
