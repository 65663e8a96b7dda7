"""What KServe is installed here, and how it is configured, as far as its own objects tell."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from rollout.errors import Denied, NotPossible, Unknown
from rollout.kinds import CONFIG_MAP, DEPLOYMENT
from rollout.mode import Mode, mode_of
from rollout.objects import Objects

NAMESPACE: Final = "kserve"
"""Where KServe is installed, where nothing else is said."""
CONTROLLER: Final = "kserve-controller-manager"
CONFIG: Final = "inferenceservice-config"
CONTAINER: Final = "manager"
_VERSION: Final = re.compile(r"v?(\d+\.\d+.*)")
_WITHOUT_SPLIT: Final = re.compile(r"0\.20\.0($|-rc)")
"""The release that has `spec.canary`, and makes Deployments of it that nobody is sent to."""

Config = Mapping[str, Any]
"""`inferenceservice-config`: each of its parts, read from its JSON."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Installed:
    """An installation of KServe; None is what could not be read."""

    version: str | None = None
    """Of the controller, by its image's tag: `0.20.0`."""
    config: Config | None = None

    def part(self, name: str) -> Mapping[str, Any] | None:
        """A part of the configuration; None where it is not known."""
        found = (self.config or {}).get(name)
        return found if isinstance(found, dict) else None

    @property
    def default_mode(self) -> Mode | None:
        """The mode of an InferenceService that names none; None where it is not known, or none of ours."""
        return mode_of(self.default_mode_spelled)

    @property
    def default_mode_spelled(self) -> str:
        """That mode as this KServe spells it; "" where it is not known."""
        return str((self.part("deploy") or {}).get("defaultDeploymentMode", ""))

    @property
    def has_gateway_api(self) -> bool | None:
        """Whether it makes HTTPRoutes, and not Ingresses."""
        return self._of_ingress("enableGatewayApi")

    @property
    def makes_no_routes(self) -> bool | None:
        """Whether it makes nothing that routes."""
        return self._of_ingress("disableIngressCreation")

    @property
    def is_without_split(self) -> bool:
        """Whether it is known to make canaries in Standard mode that get no traffic."""
        return self.version is not None and _WITHOUT_SPLIT.match(self.version) is not None

    def check_split(self) -> None:
        """Refuse a canary in Standard mode that is known to get no traffic.

        Raises:
            NotPossible: the sentence says what is missing.
        """
        if self.makes_no_routes:
            raise NotPossible(
                "this KServe makes no routes (disableIngressCreation in inferenceservice-config), so that nobody would "
                "split the traffic; nothing was written"
            )
        if self.has_gateway_api is False:
            raise NotPossible(
                "this KServe splits no traffic in Standard mode: only its HTTPRoutes have weights, and Gateway API is "
                "off (ingress.enableGatewayApi in ConfigMap inferenceservice-config); nothing was written"
            )
        if self.is_without_split:
            raise NotPossible(
                f"KServe {self.version} splits no traffic in Standard mode: it makes pods of spec.canary, calls them "
                "ready, and leaves the HTTPRoute as it is. A later release is needed, or Knative mode; nothing was "
                "written"
            )

    def _of_ingress(self, field: str) -> bool | None:
        ingress = self.part("ingress")
        return None if ingress is None else bool(ingress.get(field, False))


def read_installed(objects: Objects, namespace: str = NAMESPACE) -> Installed:
    """Look at KServe's own objects; what this user may not read stays unknown.

    Raises:
        ApiError: the API server does not answer, or not to this user.
    """
    return Installed(
        _unless_unknown(lambda: read_version(objects, namespace)),
        _unless_unknown(lambda: read_config(objects, namespace)),
    )


def read_config(objects: Objects, namespace: str = NAMESPACE) -> Config:
    """Read KServe's configuration.

    Raises:
        Unknown: it is not there.
        ApiError: it cannot be read.
    """
    found = objects.get(CONFIG_MAP, namespace, CONFIG)
    if found is None:
        raise Unknown(
            f"there is no ConfigMap {CONFIG} in namespace {namespace}: --kserve-namespace says where KServe is "
            "installed"
        )
    parts: dict[str, Any] = {}
    for name, text in (found.get("data") or {}).items():
        try:
            parts[name] = json.loads(text)
        except ValueError:  # an example in prose, `_example`
            continue
    return parts


def read_version(objects: Objects, namespace: str = NAMESPACE) -> str:
    """Read the controller's version, from its image's tag.

    Raises:
        Unknown: it is not there, or its image has a digest alone, or a tag that is no version.
        ApiError: it cannot be read.
    """
    found = objects.get(DEPLOYMENT, namespace, CONTROLLER)
    if found is None:
        raise Unknown(f"there is no Deployment {CONTROLLER} in namespace {namespace}")
    containers = found["spec"]["template"]["spec"]["containers"]
    image = next((each["image"] for each in containers if each["name"] == CONTAINER), containers[0]["image"])
    _, _, tag = image.partition("@")[0].rpartition("/")[2].partition(":")
    version = _VERSION.fullmatch(tag)
    if version is None:
        raise Unknown(f"the image of {CONTROLLER} names no version: {image}")
    return version[1]


def _unless_unknown(read: Callable[[], T]) -> T | None:
    try:
        return read()
    except (Denied, Unknown):
        return None
