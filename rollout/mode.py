"""How KServe runs a model, and what it calls that."""

from __future__ import annotations

import enum
from typing import Final

MODE_ANNOTATION: Final = "serving.kserve.io/deploymentMode"
OLDER_NAMES: Final = {"RawDeployment": "Standard", "Serverless": "Knative"}
"""What KServe 0.15 calls the modes, and the releases after it take as well."""


class Mode(enum.StrEnum):
    """How KServe runs a model."""

    STANDARD = "standard"
    """As a Deployment, a Service and a route."""
    KNATIVE = "knative"
    """As a Knative Service."""

    @property
    def spelled(self) -> str:
        """As KServe 0.16 and later write it."""
        return self.value.capitalize()


def mode_of(spelled: str) -> Mode | None:
    """The mode of a name that KServe writes, new or old; None for another one's, as ModelMesh."""
    name = OLDER_NAMES.get(spelled, spelled).lower()
    return Mode(name) if name in list(Mode) else None
