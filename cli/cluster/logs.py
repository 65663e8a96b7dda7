"""The logs of all containers of an InferenceService's pods, merged: each line says whose it is."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from cli.cluster.connection import Connection
from cli.cluster.faults import ClusterFault
from cli.cluster.kinds import POD, Manifest
from cli.cluster.observed import OF

OURS: Final = ("storage-initializer", "kserve-container", "transformer-container")
"""Whose logs are shown: those of Knative's and a mesh's containers are not."""


@dataclass(frozen=True, slots=True)
class Source:
    """One container's log."""

    pod: str
    container: str
    path: str

    @property
    def title(self) -> str:
        """Before each of its lines: `x7k2p predictor`."""
        short = {"kserve-container": "predictor", "transformer-container": "transformer"}
        return f"{self.pod.rpartition('-')[2]} {short.get(self.container, self.container)}"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a log, or, where `is_fault`, why there is none."""

    source: Source
    text: str
    is_fault: bool = False


def sources(connection: Connection, name: str) -> list[Source]:
    """Whose logs there are.

    Raises:
        ClusterFault: pods may not be read.
    """
    pods = connection.objects(POD, labels=f"{OF}={name}")
    return [
        Source(pod["metadata"]["name"], container, f"{POD.path(connection.namespace, pod['metadata']['name'])}/log")
        for pod in sorted(pods, key=lambda each: str(each["metadata"]["name"]))
        for container in _containers(pod)
    ]


def read_logs(
    connection: Connection, found: Sequence[Source], *, follow: bool, previous: bool, tail: int | None
) -> Iterator[Line]:
    """Read logs, one after another; or as their lines come, until all of them end."""
    query = {"follow": str(follow).lower(), "previous": str(previous).lower(), "tailLines": str(tail or "")}
    if not follow:
        for each in found:
            yield from _read(connection, each, query)
        return
    lines: queue.SimpleQueue[Line | None] = queue.SimpleQueue()

    def read_all(source: Source) -> None:
        for line in _read(connection, source, query):
            lines.put(line)
        lines.put(None)

    for each in found:
        threading.Thread(target=read_all, args=(each,), name=f"log-{each.title}", daemon=True).start()
    ended = 0
    while ended < len(found):
        line = lines.get()
        if line is None:
            ended += 1
        else:
            yield line


def _read(connection: Connection, source: Source, query: dict[str, str]) -> Iterator[Line]:
    try:
        for text in connection.lines(source.path, {"container": source.container, **query}):
            yield Line(source, text)
    except ClusterFault as fault:
        yield Line(source, str(fault), is_fault=True)


def _containers(pod: Manifest) -> list[str]:
    spec = pod["spec"]
    names = [each["name"] for each in (*(spec.get("initContainers") or ()), *spec["containers"])]
    return [each for each in names if each in OURS]
