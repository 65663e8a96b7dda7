"""Whom the benchmark asks, and what: the server's address, and the requests as they go over the wire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import httpx

from cli.bench.doors import Door, NoAnswer, host_of, http_server, open_door
from cli.bench.pictures import SAMPLES, NoPictures, read_pictures
from cli.reading import LARGER, MAX_PICTURE_MB, PictureTooLarge
from load.encoded import http_request, picture_request
from load.plan import Server
from load.tensors import NotRandom, Shapes, random_request, takes_pictures
from serving.v2 import InferRequest, ModelMetadata

PORTS: Final = 2**16
SCHEMES: Final = ("http", "https", "grpc", "grpcs")


class NoTarget(ValueError):
    """There is nothing to measure; the message says what to give."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line says of the server and of the requests."""

    url: str
    protocol: str
    """`http` is `POST /predict`; `v2-rest` has binary tensors, `v2-json` JSON's."""
    model: str | None
    pictures: Sequence[Path] = ()
    shapes: Shapes = field(default_factory=dict)
    """By the input's name; that of the name "" is for a model with a single input."""
    headers: Mapping[str, str] = field(default_factory=dict)
    max_mb: float = MAX_PICTURE_MB
    """MiB of the largest picture."""


@dataclass(frozen=True, slots=True)
class Target:
    """The server, and the requests."""

    server: Server
    requests: tuple[bytes, ...]
    name: str
    """What is asked, in a word or two."""
    source: str
    """What it is asked with, in words."""

    @property
    def what(self) -> str:
        """Whom it asks, and what, in words."""
        return f"{self.name} at {self.server}: {self.source}"


def make_target(asked: Asked) -> Target:
    """Make the requests; a V2 server is asked for its model's metadata first.

    Raises:
        NoTarget: the server does not answer, or not as it should, or there are no pictures.
        OSError: a picture cannot be read.
    """
    url = _address(asked.url)
    try:
        if asked.protocol == "http":
            return _predict(asked, url)
        door = open_door(asked.protocol, url, asked.headers)
        return _infer(asked, door, door.metadata(asked.model or door.default_model()))
    except PictureTooLarge as error:
        raise NoTarget(f"{error}; {LARGER}") from error
    except (NoAnswer, NoPictures, NotRandom) as error:
        raise NoTarget(str(error)) from error


def _predict(asked: Asked, url: httpx.URL) -> Target:
    pictures, source = read_pictures(asked.pictures, asked.max_mb)
    query = f"?{urlencode({'model': asked.model})}" if asked.model else ""
    path = f"{url.path.rstrip('/')}/predict{query}"
    requests = tuple(
        http_request(path, {"content-type": picture.content_type, **asked.headers}, picture.content, host_of(url))
        for picture in pictures
    )
    return Target(http_server(url, "predict"), requests, f"POST {path}", source)


def _infer(asked: Asked, door: Door, metadata: ModelMetadata) -> Target:
    made, source = _pictures(asked, metadata) if takes_pictures(metadata) else _tensors(asked, metadata)
    requests = tuple(door.encode(request) for request in made)
    return Target(door.server, requests, f"{metadata.name} by {asked.protocol}", source)


def _pictures(asked: Asked, metadata: ModelMetadata) -> tuple[list[InferRequest], str]:
    if asked.protocol == "v2-json":
        raise NoTarget(f"{metadata.name} takes pictures, which JSON does not carry: use http, v2-rest or v2-grpc")
    pictures, source = read_pictures(asked.pictures, asked.max_mb)
    (spec,) = metadata.inputs
    rank = max(len(spec.shape), 1)
    return [picture_request(picture.content, metadata.name, spec.name, rank) for picture in pictures], source


def _tensors(asked: Asked, metadata: ModelMetadata) -> tuple[list[InferRequest], str]:
    if asked.pictures:
        raise NoTarget(f"{metadata.name} takes tensors, not pictures: name no pictures, and random tensors are sent")
    shapes = dict(asked.shapes)
    if "" in shapes:
        if len(metadata.inputs) != 1:
            raise NoTarget(f"{metadata.name} has {len(metadata.inputs)} inputs: --shape NAME=1,3,224,224 says which")
        shapes[metadata.inputs[0].name] = shapes.pop("")
    made = [random_request(metadata, shapes, seed) for seed in range(SAMPLES)]
    told = ", ".join(f"{tensor.name} {tensor.datatype} {list(tensor.shape)}" for tensor in made[0].inputs)
    return made, f"random tensors, {told}"


def _address(text: str) -> httpx.URL:
    try:
        url = httpx.URL(text if "://" in text else f"http://{text}")
    except httpx.InvalidURL as error:
        raise NoTarget(f"{text!r} is no address: {error}") from error
    if url.scheme not in SCHEMES or not url.host or (url.port is not None and not 0 < url.port < PORTS):
        raise NoTarget(f"{text!r} is no address such as http://127.0.0.1:8080")
    return url
