"""What can keep traffic from being moved, or a cluster from doing what it is asked.

::

    RolloutError
    ├── NotPossible        this InferenceService, or this installation of KServe, cannot do it; nothing was written
    ├── PercentInvalid     a share that no step allows
    ├── WrongPhase         a canary runs already, or it was promoted
    │   └── NoCanary       none runs
    ├── NotReady           what has to be ready first is not
    ├── Edited             somebody changed the InferenceService since the canary was started
    ├── SnapshotDamaged    the snapshot of the stable version cannot be read
    ├── Stalled            what was awaited did not come in time
    ├── TakenBack          what was written is undone by somebody each time
    ├── Unknown            what is installed cannot be told
    └── ApiError           what the API server said, or that there is none
        ├── NoCluster      there is none to ask, or it does not know who asks
        │   └── Unreachable  it gives no answer; later it may
        ├── Conflict       the object changed since it was read, or its fields are somebody else's
        ├── AlreadyThere   an object of that name was created by somebody else
        ├── Gone           it is not there
        ├── NoSuchKind     the API server does not know its kind: KServe is not installed, for example
        ├── Denied         this user may not do it
        └── Rejected       the schema, a webhook or an admission policy does not take it
"""

from __future__ import annotations

from collections.abc import Sequence


class RolloutError(Exception):
    """It was not done; the message is a sentence that says why, and what to do."""


class NotPossible(RolloutError):
    """This InferenceService, or this installation of KServe, cannot do it. Nothing was written."""


class PercentInvalid(RolloutError):
    """A share of the traffic that no step allows."""


class WrongPhase(RolloutError):
    """The canary is not where this step begins."""


class NoCanary(WrongPhase):
    """No canary runs."""


class NotReady(RolloutError):
    """Something has to be ready first."""


class Edited(RolloutError):
    """The InferenceService is not what the canary made of it; `differences` are lines, `path: expected -> found`."""

    def __init__(self, message: str, differences: Sequence[str]) -> None:
        super().__init__(message)
        self.differences = tuple(differences)


class SnapshotDamaged(RolloutError):
    """The snapshot of the stable version cannot be read."""


class Stalled(RolloutError):
    """What was awaited (`waits`) did not come in time."""

    def __init__(self, message: str, waits: str) -> None:
        super().__init__(message)
        self.waits = waits


class TakenBack(RolloutError):
    """What was written is undone by somebody each time."""


class Unknown(RolloutError):
    """What is installed cannot be told: it is not there, or says nothing of it."""


class ApiError(RolloutError):
    """The API server did not do what was asked."""


class NoCluster(ApiError):
    """There is no API server to ask, or it does not know who asks."""


class Unreachable(NoCluster):
    """The API server gives no answer; later it may."""


class Conflict(ApiError):
    """The object changed since it was read, or somebody else set the same fields."""


class AlreadyThere(ApiError):
    """There is an object of that name already."""


class Gone(ApiError):
    """There is no such object."""


class NoSuchKind(ApiError):
    """The API server knows no such kind of objects."""


class Denied(ApiError):
    """This user may not do it."""


class Rejected(ApiError):
    """The schema, a webhook or an admission policy does not take it."""
