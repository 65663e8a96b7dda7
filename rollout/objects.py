"""The one door to the API server: four verbs over objects as JSON.

Nothing else here knows a client. Tests pass one that fails after a write, or that plays what a newer KServe would do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from rollout.kinds import Kind, Manifest

Operation = dict[str, Any]
"""One operation of a JSON patch (RFC 6902)."""


class Objects(Protocol):
    """Objects of a cluster, as the user of the credentials may see and change them.

    Each method may raise `Denied`, `NoSuchKind` or `NoCluster`.
    """

    def get(self, kind: Kind, namespace: str, name: str) -> Manifest | None:
        """Return an object; None where there is none of that name."""
        ...

    def create(self, kind: Kind, manifest: Manifest) -> Manifest:
        """Create an object.

        Raises:
            AlreadyThere, Rejected: as their names say.
        """
        ...

    def patch(
        self, kind: Kind, namespace: str, name: str, operations: Sequence[Operation], *, dry_run: bool = False
    ) -> Manifest:
        """Change an object in one write, and return what became of it; `dry_run` keeps nothing of it.

        Raises:
            Conflict: `operations` name a resource version (see `step.at_version`) that is not the object's any more.
            Gone, Rejected: as their names say.
        """
        ...

    def delete(self, kind: Kind, namespace: str, name: str, uid: str, version: str = "") -> None:
        """Delete the object that has this uid, and this resource version where one is given; that it is gone already
        is no error.

        Raises:
            Conflict: the object of that name is another, or has changed.
        """
        ...
