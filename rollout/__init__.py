"""Traffic between two versions of a model, moved one write at a time: what `kserve-vision canary` stands on.

`traffic_of` finds the adapter for an InferenceService: Knative revisions, or a canary behind a Gateway API route. It
asks `Objects`, of which `rollout.connection` is the one over an API server, for every command: `rollout.kubeconfig`
opens it, by a kubeconfig or inside a pod.
"""

from rollout.choice import traffic_of
from rollout.drive import drive
from rollout.errors import (
    AlreadyThere,
    ApiError,
    Conflict,
    Denied,
    Edited,
    Gone,
    NoCanary,
    NoCluster,
    NoSuchKind,
    NotPossible,
    NotReady,
    PercentInvalid,
    Rejected,
    RolloutError,
    SnapshotDamaged,
    Stalled,
    TakenBack,
    Unknown,
    Unreachable,
    WrongPhase,
)
from rollout.objects import Objects
from rollout.step import Step, Wait
from rollout.traffic import MAX_PERCENT, Candidate, Observed, Phase, Traffic, Version

__all__ = [
    "MAX_PERCENT",
    "AlreadyThere",
    "ApiError",
    "Candidate",
    "Conflict",
    "Denied",
    "Edited",
    "Gone",
    "NoCanary",
    "NoCluster",
    "NoSuchKind",
    "NotPossible",
    "NotReady",
    "Objects",
    "Observed",
    "PercentInvalid",
    "Phase",
    "Rejected",
    "RolloutError",
    "SnapshotDamaged",
    "Stalled",
    "Step",
    "TakenBack",
    "Traffic",
    "Unknown",
    "Unreachable",
    "Version",
    "Wait",
    "WrongPhase",
    "drive",
    "traffic_of",
]
