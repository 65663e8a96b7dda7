"""A few objects in memory, as an API server has them: versions, conflicts, and nobody who looks after them."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Sequence
from typing import Any

from typing_extensions import override

from rollout import AlreadyThere, Conflict, Gone, Objects
from rollout.kinds import Kind, Manifest
from rollout.objects import Operation


class Memory(Objects):
    """Objects of a cluster."""

    def __init__(self, *placed: tuple[Kind, Manifest]) -> None:
        self._numbers = itertools.count(1)
        self._objects: dict[tuple[Kind, str], Manifest] = {}
        for kind, manifest in placed:
            self.put(kind, manifest)

    def put(self, kind: Kind, manifest: Manifest) -> None:
        """Somebody else writes."""
        kept = copy.deepcopy(manifest)
        kept["metadata"] = {
            "namespace": "default",
            "uid": f"uid-of-{kept['metadata']['name']}",
            "generation": 1,
            **kept["metadata"],
            "resourceVersion": str(next(self._numbers)),
        }
        self._objects[kind, kept["metadata"]["name"]] = kept

    @override
    def get(self, kind: Kind, namespace: str, name: str) -> Manifest | None:
        return copy.deepcopy(self._objects.get((kind, name)))

    @override
    def create(self, kind: Kind, manifest: Manifest) -> Manifest:
        if (kind, manifest["metadata"]["name"]) in self._objects:
            raise AlreadyThere(manifest["metadata"]["name"])
        self.put(kind, manifest)
        return manifest

    @override
    def patch(
        self, kind: Kind, namespace: str, name: str, operations: Sequence[Operation], *, dry_run: bool = False
    ) -> Manifest:
        found = self.get(kind, namespace, name)
        if found is None:
            raise Gone(name)
        before = found["metadata"]["resourceVersion"]
        for operation in operations:
            _operate(found, operation)
        if found["metadata"]["resourceVersion"] != before:
            raise Conflict(name)
        if not dry_run:
            self.put(kind, found)
        return found

    @override
    def delete(self, kind: Kind, namespace: str, name: str, uid: str, version: str = "") -> None:
        found = self._objects.get((kind, name))
        if found is not None:
            metadata = found["metadata"]
            if metadata["uid"] != uid or version not in ("", metadata["resourceVersion"]):
                raise Conflict(name)
        self._objects.pop((kind, name), None)


def _operate(manifest: Manifest, operation: Operation) -> None:
    *path, last = (part.replace("~1", "/") for part in operation["path"].lstrip("/").split("/"))
    holder: Any = manifest
    for part in path:
        holder = holder[part]
    if operation["op"] == "remove":
        del holder[last]
    else:
        holder[last] = copy.deepcopy(operation["value"])
