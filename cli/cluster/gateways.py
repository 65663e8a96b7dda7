"""Where the gateway of an InferenceService listens."""

from __future__ import annotations

from cli.cluster.kinds import GATEWAY
from cli.cluster.observed import Observed
from rollout import ApiError
from rollout.connection import Connection


def address_of(connection: Connection, seen: Observed) -> str:
    """The address of the gateway that leads to an InferenceService; "" where it cannot be told."""
    for route in seen.routes:
        for parent in route["spec"].get("parentRefs") or ():
            try:
                gateway = connection.get(GATEWAY, parent.get("namespace") or seen.namespace, parent["name"])
            except ApiError:
                return ""
            addresses = ((gateway or {}).get("status") or {}).get("addresses") or ()
            if addresses:
                return str(addresses[0]["value"])
    return ""
