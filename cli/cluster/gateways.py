"""Where the gateway of an InferenceService listens."""

from __future__ import annotations

from cli.cluster.connection import Connection
from cli.cluster.faults import ClusterFault
from cli.cluster.kinds import GATEWAY
from cli.cluster.observed import Observed


def address_of(connection: Connection, seen: Observed) -> str:
    """The address of the gateway that leads to an InferenceService; "" where it cannot be told."""
    for route in seen.routes:
        for parent in route["spec"].get("parentRefs") or ():
            try:
                gateway = connection.get(GATEWAY, parent["name"], parent.get("namespace") or seen.namespace)
            except ClusterFault:
                return ""
            addresses = ((gateway or {}).get("status") or {}).get("addresses") or ()
            if addresses:
                return str(addresses[0]["value"])
    return ""
