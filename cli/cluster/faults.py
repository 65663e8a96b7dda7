"""What a command finds on a cluster, and cannot go on with. What the API server itself says is in `rollout.errors`."""

from __future__ import annotations


class ClusterFault(Exception):
    """The cluster is not as the command needs it; the message says why, and what to do."""
