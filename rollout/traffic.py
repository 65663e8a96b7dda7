"""The small interface behind a canary, whichever way KServe splits traffic."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final, Protocol

from rollout.contracts import Facts
from rollout.errors import PercentInvalid
from rollout.step import Step

ALL: Final = 100
"""Percent of the traffic."""
MAX_PERCENT: Final = ALL - 1
"""The most that a candidate gets before it is promoted: at 100 % KServe takes it for the new stable version."""


class Phase(enum.StrEnum):
    """Where a canary is, read from the cluster."""

    NONE = "none"
    """One version serves."""
    RECORDED = "recorded"
    """The stable version was recorded, and serves alone: a start that was not finished, or an abort that was."""
    RUNNING = "running"
    """Two versions are there."""
    PROMOTING = "promoting"
    """The candidate becomes the stable version."""
    PROMOTED = "promoted"
    """It is; the record of the one before is left."""
    ABORTING = "aborting"
    """The stable version was restored, and what had the traffic before has it still."""
    EDITED = "edited"
    """Somebody changed the InferenceService since the start."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """What a canary is started with."""

    uri: str
    """Where its model directory is: a storage URI of KServe."""
    percent: int
    """Of the traffic, once it is ready."""
    name: str = ""
    """What it is called; by default made of the URI."""
    contracts: Facts = (None, None)
    """Both versions' contracts, for a transformer that stands before both."""


@dataclass(frozen=True, slots=True)
class Version:
    """One of the versions that run."""

    name: str
    """The revision, or the predictor's name."""
    uri: str
    percent: int | None
    """Of the traffic, as whoever routes says; None where they say nothing, or not yet."""
    ready: bool
    why: str = ""
    """What is known of why it is not ready."""
    url: str = ""
    """Where it can be asked by itself; empty where it cannot."""


@dataclass(frozen=True, slots=True)
class Observed:
    """What a cluster shows of an InferenceService and its canary."""

    name: str
    namespace: str
    mode: str
    """`Knative` or `Standard`."""
    phase: Phase
    generation: int
    resource_version: str
    stable: Version
    candidate: Version | None
    wished: int | None
    """The candidate's share that the spec asks for; None where it asks for none."""
    separate_transformer: bool = False
    """Whether a transformer in pods of its own stands before both versions."""
    differences: tuple[str, ...] = ()
    """What somebody edited since the start: `path: expected -> found`."""
    has_its_place: bool = False
    """Whether the candidate took the stable version's place: an abort would take away what serves."""
    notes: tuple[str, ...] = ()
    """What else a person should know: leftovers, fields that are ignored."""


class Traffic(Protocol):
    """Moves the traffic of one InferenceService.

    `start`, `set_percent`, `promote` and `abort` read, and say the next step towards their end. They are asked again
    after each step until one `is_last`. Only `take` writes. With `despite_edits` they go on where somebody edited
    the InferenceService since the start; else they raise `Edited`.
    """

    def read(self) -> Observed:
        """Look.

        Raises:
            ApiError, NotPossible, SnapshotDamaged: as their names say.
        """
        ...

    def start(self, candidate: Candidate) -> Step:
        """Bring up a second version, and give it its share.

        Raises:
            NotPossible, WrongPhase, NotReady, PercentInvalid, Rejected: nothing was written.
        """
        ...

    def set_percent(self, percent: int, *, despite_edits: bool = False) -> Step:
        """Give the candidate another share.

        Raises:
            WrongPhase, NotReady, PercentInvalid, Edited: nothing was written.
        """
        ...

    def promote(self, *, despite_edits: bool = False) -> Step:
        """Make the candidate the stable version.

        Raises:
            WrongPhase, NotReady, Edited: nothing was written.
        """
        ...

    def abort(self, *, despite_edits: bool = False) -> Step:
        """Take the candidate's traffic away, and restore the stable version as it was.

        Raises:
            WrongPhase, Edited: nothing was written.
        """
        ...

    def take(self, step: Step) -> None:
        """Do what a step writes.

        Raises:
            Conflict, AlreadyThere: what was read is no longer so; ask for the step again.
            ApiError: it was not taken.
        """
        ...


def check_percent(percent: int) -> None:
    """Refuse a share that a candidate cannot have.

    Raises:
        PercentInvalid: it is not a whole number of 0 to 99.
    """
    if percent == ALL:
        raise PercentInvalid("at 100 % the candidate is the stable version: promote it instead")
    if not 0 <= percent <= MAX_PERCENT:
        raise PercentInvalid(f"{percent} %: a candidate's share is 0 to {MAX_PERCENT} %")
