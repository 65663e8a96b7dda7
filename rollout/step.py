"""One step of moving traffic: at most one write, decided from what was read.

Nothing is remembered between steps but what the cluster has. A process that ends between two of them, or another that
goes on in its place, finds where things are and decides the next step. What was read is named in the write by its
resource version, so that a step never lands on something else.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from rollout.kinds import Kind, Manifest
from rollout.objects import Objects, Operation


class Wait(enum.StrEnum):
    """What a step waits for."""

    CANDIDATE = "the candidate"
    """Its pods."""
    SPLIT = "the split"
    """That whoever routes has noticed what was written."""
    ROUTE = "the HTTPRoute"
    """That KServe names there a candidate that had no share yet: one that makes no split never does."""
    STABLE = "the stable version"
    """Its pods, after it was restored or replaced."""


@dataclass(frozen=True, slots=True)
class Create:
    """Create an object."""

    kind: Kind
    manifest: Manifest

    def take(self, objects: Objects) -> None:
        """Do it; see `Objects.create` for what is raised."""
        objects.create(self.kind, self.manifest)


@dataclass(frozen=True, slots=True)
class Patch:
    """Change an object, at the version that was read."""

    kind: Kind
    namespace: str
    name: str
    operations: tuple[Operation, ...]

    def take(self, objects: Objects) -> None:
        """Do it; see `Objects.patch` for what is raised."""
        objects.patch(self.kind, self.namespace, self.name, self.operations)

    def try_out(self, objects: Objects) -> Manifest:
        """Return what would become of the object; nothing is kept. See `Objects.patch` for what is raised."""
        return objects.patch(self.kind, self.namespace, self.name, self.operations, dry_run=True)


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete an object, at the version that was read."""

    kind: Kind
    namespace: str
    name: str
    uid: str
    version: str

    def take(self, objects: Objects) -> None:
        """Do it; see `Objects.delete` for what is raised."""
        objects.delete(self.kind, self.namespace, self.name, self.uid, self.version)


Write = Create | Patch | Delete


@dataclass(frozen=True, slots=True)
class Step:
    """What comes next. It is the last where there is nothing to write and nothing to wait for."""

    says: str
    """What is written, or awaited, or was found: a sentence without a full stop."""
    write: Write | None = None
    waits: Wait | None = None
    ends: bool = False
    """Whether nothing comes after this write."""
    then: tuple[str, ...] = ()
    """What is meant to be written after this, for who is asked beforehand."""
    changes: tuple[str, ...] = ()
    """What this write, or the first after it that does, changes in the spec: lines of a unified difference."""

    @property
    def is_last(self) -> bool:
        """Whether there is nothing left to do."""
        return self.write is None and self.waits is None


def at_version(manifest: Manifest) -> Operation:
    """The operation that makes a patch a conflict where the object is not what was read any more."""
    version = manifest["metadata"]["resourceVersion"]
    return {"op": "replace", "path": "/metadata/resourceVersion", "value": version}


def patch_of(kind: Kind, manifest: Manifest, operations: Sequence[Operation]) -> Patch:
    """A patch of an object that was read."""
    metadata = manifest["metadata"]
    return Patch(kind, metadata["namespace"], metadata["name"], (at_version(manifest), *operations))


def delete_of(kind: Kind, manifest: Manifest) -> Delete:
    """The deletion of an object that was read."""
    metadata = manifest["metadata"]
    return Delete(kind, metadata["namespace"], metadata["name"], metadata["uid"], metadata["resourceVersion"])
