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
from cli.findings import printable
from cli.models import ensure_model
from cli.reading import LARGER, MAX_PICTURE_MB, AnswerTooLarge, PictureTooLarge, read_answer, read_picture, why_not
from cli.tables import table_of
from serving.call import Call
from serving.errors import RequestInvalid, ServingError
from serving.log import configure_logging
from transformer.drawing import DEFAULT_FORMAT

TIMEOUT_S = 60.0
SAID_BYTES = 200
"""How much of an answer that is none is quoted."""
WANTED = "--url names the REST address of a transformer, such as http://127.0.0.1:8080"
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
class _Answer:
    """What a server answered, whole."""

    url: str
    status: int
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of each picture."""

    top_k: int | None
    album: Album | None
    """Where drawn pictures go; None asks for none."""
    name: str | None
    """Of the model, where a server has several."""
    max_mb: float = MAX_PICTURE_MB
    """MiB of the largest picture."""

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
    max_mb: Annotated[
        float, typer.Option(help="The largest picture that is read, in MiB.", min=0.001)
    ] = MAX_PICTURE_MB,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON for each picture.")] = False,
) -> None:
    """Predict pictures, by a running server (--url) or in this process (--model)."""
    console = Console(stderr=True, highlight=False, markup=False)
    try:
        question = Question(top_k, None if save is None else Album(save, pictures), name, max_mb)
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
    try:
        on_this_machine = httpx.URL(url).host in LOOPBACK  # where no proxy of the environment is meant
        with httpx.Client(base_url=url, timeout=TIMEOUT_S, trust_env=not on_this_machine) as http:
            for picture in pictures:
                yield _ask_for(http, picture, question)
    except httpx.ConnectError as error:
        console.print(f"{url} {why_not(error)}: is `kserve-vision serve` running?", style="bold red", soft_wrap=True)
        raise typer.Exit(1) from error
    except httpx.RequestError as error:
        console.print(f"{url} {why_not(error)}: {WANTED}", style="bold red", soft_wrap=True)
        raise typer.Exit(1) from error
    except httpx.InvalidURL as error:
        console.print(f"{url} is no address ({error}): {WANTED}", style="bold red", soft_wrap=True)
        raise typer.Exit(1) from error


def _ask_for(http: httpx.Client, picture: Path, question: Question) -> Outcome:
    """Ask a server for the predictions, and, where they are to be drawn, once more for the picture."""
    try:
        content = read_picture(picture, question.max_mb)
        outcome = _outcome(picture, _post(http, question.query, (picture.name, content)))
        if outcome.error or question.album is None:
            return outcome
        drawn = _post(http, question.query | {"render": "true"}, (picture.name, content), DEFAULT_FORMAT.media_type)
    except PictureTooLarge as error:
        return Outcome(picture, error=f"{error.reason}; {LARGER}")
    except AnswerTooLarge as error:
        return Outcome(picture, error=str(error))
    if drawn.content_type == DEFAULT_FORMAT.media_type:
        return Outcome(picture, outcome.predictions, drawn=question.album.save(picture, drawn.body))
    if drawn.status == HTTPStatus.BAD_REQUEST:  # the same question was just answered: nothing of it can be drawn
        return outcome
    return _outcome(picture, drawn)


def _post(http: httpx.Client, query: dict[str, str], file: tuple[str, bytes], accepted: str = "*/*") -> _Answer:
    headers = {"accept": accepted}
    with http.stream("POST", "/predict", params=query, files={"file": file}, headers=headers) as answer:
        body = read_answer(answer)
    return _Answer(str(answer.url), answer.status_code, answer.headers.get("content-type", ""), body)


def _outcome(picture: Path, answer: _Answer) -> Outcome:
    """Return what an answer says, or that it is none of a transformer."""
    try:
        body = orjson.loads(answer.body)
        if answer.status == HTTPStatus.OK:
            return Outcome(picture, body["predictions"])
        return Outcome(picture, error=printable(f"{body['error']['code']}: {body['error']['message']}"))
    except (ValueError, KeyError, TypeError):
        said = answer.body[:SAID_BYTES].decode(errors="replace")
        kind = answer.content_type or "content of no type"
        what = f"POST {answer.url} was answered with {answer.status} and {kind:.80}"
        return Outcome(picture, error=f"{what}, which no transformer says ({said!r}): {WANTED}")


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
        try:
            content = read_picture(picture, question.max_mb)
            answered = await pipeline.answer([content], options, call)
            (answer,), (values,) = answered.answers, await pipeline.to_json(answered, call)
            predictions = orjson.loads(orjson.dumps(values, option=orjson.OPT_SERIALIZE_NUMPY))
            drawn = None
            if question.album is not None:
                with suppress(RequestInvalid):  # nothing of this task can be drawn
                    drawn = question.album.save(picture, await pipeline.draw(content, answer, DEFAULT_FORMAT, call))
            yield Outcome(picture, predictions, drawn=drawn)
        except PictureTooLarge as error:
            yield Outcome(picture, error=f"{error.reason}; --max-mb and MAX_UPLOAD_MB allow larger ones")
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
