"""What Knative's own webhook would say of the Knative Services that KServe makes."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from typing import Final

import yaml

from tests.cluster.manifests import Manifest
from tools.cache import located

LIMIT_S: Final = 30.0


def knative_refusals(services: Sequence[Manifest], *features: str) -> dict[str, list[str]]:
    """Return what Knative would refuse of each Service, by its name: nothing where it would take it.

    `features` are entries of Knative's ConfigMap config-features, `kubernetes.podspec-tolerations=enabled`; without
    any they are as Knative ships them.
    """
    arguments = [f"-feature={each}" for each in features]
    done = subprocess.run(
        [located("knative-check"), *arguments],
        input=yaml.safe_dump_all(services),
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=True,
    )
    verdicts = [json.loads(line) for line in done.stdout.splitlines()]
    return {each["name"]: each["refused"] for each in verdicts}
