"""What the installed KServe would make of a canary in Standard mode, as far as its own objects tell beforehand."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Final

from rollout.errors import Denied, NotPossible
from rollout.kinds import CONFIG_MAP, DEPLOYMENT, Manifest
from rollout.objects import Objects

NAMESPACE: Final = "kserve"
CONTROLLER: Final = "kserve-controller-manager"
CONFIG: Final = "inferenceservice-config"
WITHOUT_SPLIT: Final = re.compile(r"v?0\.20\.0($|-rc)")
"""The release that has `spec.canary`, and makes Deployments of it that nobody is sent to."""


@dataclass(frozen=True, slots=True)
class Installed:
    """An installation of KServe; None is what could not be read."""

    version: str | None = None
    """Of the controller, by its image's tag."""
    gateway_api: bool | None = None
    """Whether it makes HTTPRoutes."""
    makes_routes: bool | None = None
    """Whether it makes anything that routes."""

    def check(self) -> None:
        """Refuse a canary that is known to get no traffic.

        Raises:
            NotPossible: the sentence says what is missing.
        """
        if self.makes_routes is False:
            raise NotPossible(
                "this KServe makes no routes (disableIngressCreation in inferenceservice-config), so that nobody would "
                "split the traffic; nothing was written"
            )
        if self.gateway_api is False:
            raise NotPossible(
                "this KServe splits no traffic in Standard mode: only its HTTPRoutes have weights, and Gateway API is "
                "off (ingress.enableGatewayApi in ConfigMap inferenceservice-config); nothing was written"
            )
        if self.version is not None and WITHOUT_SPLIT.match(self.version):
            raise NotPossible(
                f"KServe {self.version} splits no traffic in Standard mode: it makes pods of spec.canary, calls them "
                "ready, and leaves the HTTPRoute as it is. A later release is needed, or Knative mode; nothing was "
                "written"
            )


def read_installed(objects: Objects, namespace: str = NAMESPACE) -> Installed:
    """Look at KServe's own objects; what this user may not read stays unknown."""
    ingress = _ingress(_read(objects, CONFIG_MAP, namespace, CONFIG))
    return Installed(
        version=_version(_read(objects, DEPLOYMENT, namespace, CONTROLLER)),
        gateway_api=None if ingress is None else bool(ingress.get("enableGatewayApi", False)),
        makes_routes=None if ingress is None else not ingress.get("disableIngressCreation", False),
    )


def _read(objects: Objects, kind: Any, namespace: str, name: str) -> Manifest | None:
    try:
        return objects.get(kind, namespace, name)
    except Denied:
        return None


def _ingress(config: Manifest | None) -> dict[str, Any] | None:
    text = (config or {}).get("data", {}).get("ingress")
    if text is None:
        return None
    try:
        said = json.loads(text)
    except ValueError:
        return None
    return said if isinstance(said, dict) else None


def _version(controller: Manifest | None) -> str | None:
    """The tag of the controller's image; None of a digest, or of a tag that is no version."""
    if controller is None:
        return None
    containers = controller["spec"]["template"]["spec"]["containers"]
    image = next((each["image"] for each in containers if each["name"] == "manager"), containers[0]["image"])
    _, _, tag = image.partition("@")[0].rpartition("/")[2].partition(":")
    return tag if re.match(r"v?\d+\.\d+", tag) else None
