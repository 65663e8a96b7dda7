"""A model in a bucket by `helm install`, and what `helm test` says of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.cluster.charts_releases import Release
from tests.node.served import SMALL, Served
from tests.node.storage import RESTRICTED
from tests.servers import MODEL

STORED = {"uri": "s3://models/restricted/demo", "secretName": "s3", "containerName": RESTRICTED}


@pytest.mark.parametrize("topology", ["collocated", "separate"])
def test_a_release_is_served_and_answers_helm_test(opened: Callable[..., Served], topology: str) -> None:
    """In a namespace that enforces the restricted level. It is asked by the Service's name, as is the predictor by a
    transformer in a pod of its own.
    """
    service = replace(opened(enforce="restricted"), entrance="transformer" if topology == "separate" else "predictor")
    resources = {"requests": SMALL, "limits": {"cpu": "1", "memory": "1Gi"}}
    values = {"mode": "Standard", "topology": topology, "storage": STORED, "transformer": {"resources": resources}}
    Release(service.cluster, service.namespace, MODEL).install(values)
    service.wait_available()
    said = service.cluster.command_line.helm("test", MODEL, "--namespace", service.namespace, "--logs")
    print(f"\n{said}")

    assert "/predict answers 200: " in said
