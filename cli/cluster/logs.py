"""The logs of all containers of an InferenceService's pods, merged: each line says whose it is."""

from __future__ import annotations

import queue
import re
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from cli.cluster.kinds import OF, POD, Manifest
from rollout import ApiError, Gone, Unreachable
from rollout.connection import Connection

OURS: Final = ("storage-initializer", "kserve-container", "transformer-container")
"""Whose logs are shown: those of Knative's and a mesh's containers are not."""
AGAIN_S: Final = 1.0
"""Between two tries to go on with a log that broke off, or has not begun."""
_OVER: Final = ("Succeeded", "Failed")
"""Phases of a pod in which nothing is started any more."""
_STAMPED: Final = re.compile(r"(\d{4}-\d\d-\d\dT\S+) (.*)", re.DOTALL)


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


@dataclass(frozen=True, slots=True)
class _Stage:
    """How far a container is."""

    has_ended: bool = False
    waits: str = ""
    """What for, where it has not started."""


def sources(connection: Connection, name: str) -> list[Source]:
    """Whose logs there are.

    Raises:
        ApiError: pods may not be read.
    """
    pods = connection.objects(POD, labels=f"{OF}={name}")
    return [
        Source(pod["metadata"]["name"], container, f"{POD.path(connection.namespace, pod['metadata']['name'])}/log")
        for pod in sorted(pods, key=lambda each: str(each["metadata"]["name"]))
        for container in _containers(pod)
    ]


def read_logs(connection: Connection, found: Sequence[Source], *, previous: bool, tail: int | None) -> Iterator[Line]:
    """Read logs as they are, one after another."""
    for each in found:
        try:
            for text in _lines(connection, each, previous=str(previous).lower(), tailLines=str(tail or "")):
                yield Line(each, text)
        except ApiError as error:
            yield Line(each, str(error), is_fault=True)


def follow_logs(connection: Connection, found: Sequence[Source], *, tail: int | None) -> Iterator[Line]:
    """Read logs as their lines come, until all of the containers have ended.

    One that breaks off is gone on with after the line that came last, and one whose container has not started is
    awaited; the others do not wait for it.
    """
    lines: queue.SimpleQueue[Line | None] = queue.SimpleQueue()

    def follow(source: Source) -> None:
        try:
            for line in _follow(connection, source, tail):
                lines.put(line)
        finally:
            lines.put(None)

    for each in found:
        threading.Thread(target=follow, args=(each,), name=f"log-{each.title}", daemon=True).start()
    ended = 0
    while ended < len(found):
        line = lines.get()
        if line is None:
            ended += 1
        else:
            yield line


def _follow(connection: Connection, source: Source, tail: int | None) -> Iterator[Line]:
    """One log until its container has ended, whatever breaks off in between; each line comes once."""
    last, is_again = "", False
    told: set[str] = set()
    while True:
        try:
            # Looked at first: what the node breaks off ends as a log does, and one that had ended before is whole.
            stage = _stage(connection, source)
            for stamped in () if stage.waits else _stamped(connection, source, last, tail):
                stamp, text = _parted(stamped)
                if is_again and stamp <= last:  # `sinceTime` counts seconds
                    continue
                last, is_again = stamp or last, False
                told.clear()
                yield Line(source, text)
            if stage.has_ended:
                return
            fault = stage.waits
        except Unreachable as error:
            fault = str(error)
        except ApiError as error:
            yield Line(source, str(error), is_fault=True)
            return
        if fault and fault not in told:
            told.add(fault)
            yield Line(source, f"{fault}; asking again", is_fault=True)
        is_again = bool(last)
        time.sleep(AGAIN_S)


def _stamped(connection: Connection, source: Source, last: str, tail: int | None) -> Iterator[str]:
    """The lines since the `last` one, each with its time."""
    since = {"sinceTime": last} if last else {"tailLines": str(tail or "")}
    return _lines(connection, source, follow="true", timestamps="true", **since)


def _parted(stamped: str) -> tuple[str, str]:
    """A line's time and its text; no time where it is the node's own word, and none of the container."""
    match = _STAMPED.fullmatch(stamped)
    return (match[1], match[2]) if match else ("", stamped)


def _stage(connection: Connection, source: Source) -> _Stage:
    """How far a container is. One that crashed has ended, though it may be started again.

    Raises:
        Gone: there is no such pod any more.
        ApiError: it may not be read.
    """
    pods = connection.objects(POD, fields=f"metadata.name={source.pod}")
    if not pods:
        raise Gone(f"pod {source.pod} is gone")
    status = pods[0].get("status") or {}
    containers = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    seen: Manifest = next((each for each in containers if each["name"] == source.container), {})
    state = seen.get("state") or {}
    if "running" in state:
        return _Stage()
    if "terminated" in state or seen.get("lastState") or status.get("phase") in _OVER:
        return _Stage(has_ended=True)
    reason = (state.get("waiting") or {}).get("reason") or status.get("phase", "Pending")
    return _Stage(waits=f"it has not started yet ({reason})")


def _lines(connection: Connection, source: Source, **query: str) -> Iterator[str]:
    what = f"pods/log of {source.pod}"
    return connection.lines(source.path, what, {"container": source.container, **query})


def _containers(pod: Manifest) -> list[str]:
    spec = pod["spec"]
    names = [each["name"] for each in (*(spec.get("initContainers") or ()), *spec["containers"])]
    return [each for each in names if each in OURS]
