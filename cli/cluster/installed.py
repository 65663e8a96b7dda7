"""What is installed in a cluster, read once: the facts that `doctor` judges."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from cli.cluster.connection import Connection
from cli.cluster.faults import ClusterFault, NoCluster
from cli.cluster.kinds import (
    CLUSTER_SERVING_RUNTIME,
    CONFIG_MAP,
    DEPLOYMENT,
    GATEWAY,
    INFERENCE_SERVICE,
    NAMESPACE,
    NODE,
    SERVING_RUNTIME,
    Manifest,
)
from cli.cluster.rendering import PROGRAM, Mode, Wish, inference_service, mode_of

SYSTEM: Final = "kserve"
"""The namespace that KServe is installed in, where nothing else is said."""
CONFIG: Final = "inferenceservice-config"
CONTROLLER: Final = "kserve-controller-manager"
SCHEMA: Final = "/openapi/v3/apis/serving.kserve.io/v1beta1"
"""Which every user may read who is known, unlike the CRD."""
GPU: Final = "nvidia.com/gpu"
INSTALL_RUNTIMES: Final = "`kubectl apply --server-side -k manifests/runtimes/{}`, or the chart kserve-vision-platform"
_TAG: Final = re.compile(r":v?(\d+\.\d+\.\d+[^@]*)")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Installed:
    """What a cluster has. What could not be read is None, and the reason is in `unknown` under the field's name."""

    namespace: str
    server_version: str | None = None
    groups: frozenset[str] | None = None
    """API groups that are served."""
    fields: frozenset[str] | None = None
    """Paths in the schema of an InferenceService: `spec.canary`."""
    kserve_version: str | None = None
    config: Mapping[str, Any] | None = None
    """`inferenceservice-config`, each part read from its JSON."""
    runtimes: Sequence[Manifest] | None = None
    """Ours."""
    namespace_labels: Mapping[str, str] | None = None
    gateways: Sequence[Manifest] | None = None
    gpus: int | None = None
    refusal: str | None = None
    """What a dry run of an InferenceService was answered; "" where it was taken."""
    unknown: Mapping[str, str] = field(default_factory=dict)

    @property
    def mode(self) -> Mode | None:
        """The mode of what names none."""
        return None if self.config is None else mode_of(str(self.part("deploy").get("defaultDeploymentMode", "")))

    def part(self, name: str) -> Mapping[str, Any]:
        """A part of KServe's configuration; empty where it is not known."""
        found = (self.config or {}).get(name)
        return found if isinstance(found, dict) else {}

    def has(self, group: str) -> bool:
        """Whether an API group is served."""
        return group in (self.groups or ())

    def why_unknown(self, name: str) -> str:
        """Why a field is None."""
        return self.unknown.get(name, "it was not asked for")


def look(connection: Connection, system: str = SYSTEM) -> Installed:
    """Read what is installed; `system` is KServe's namespace.

    Raises:
        NoCluster: the API server does not answer, or not to this user.
    """
    version, groups = _server_version(connection), _groups(connection)
    unknown: dict[str, str] = {}

    def known(name: str, read: Callable[[], T]) -> T | None:
        try:
            return read()
        except ClusterFault as fault:
            unknown[name] = str(fault)
            return None

    if INFERENCE_SERVICE.version.partition("/")[0] not in groups:
        return Installed(connection.namespace, version, groups)
    config = known("config", lambda: _config(connection, system))
    mode = mode_of(str((config or {}).get("deploy", {}).get("defaultDeploymentMode", ""))) or Mode.STANDARD
    return Installed(
        namespace=connection.namespace,
        server_version=version,
        groups=groups,
        fields=known("fields", lambda: _fields(connection)),
        kserve_version=known("kserve_version", lambda: _kserve_version(connection, system)),
        config=config,
        runtimes=known("runtimes", lambda: _runtimes(connection)),
        namespace_labels=known("namespace_labels", lambda: _labels(connection)),
        gateways=known("gateways", lambda: connection.objects(GATEWAY, "")),
        gpus=known("gpus", lambda: _gpus(connection)),
        refusal=_refusal(connection, mode),
        unknown=unknown,
    )


def default_mode(connection: Connection, system: str = SYSTEM) -> tuple[Mode, str]:
    """The mode of what names none, and how this KServe spells it.

    Raises:
        ClusterFault: it cannot be read.
    """
    try:
        spelled = str(_config(connection, system).get("deploy", {}).get("defaultDeploymentMode", ""))
    except NoCluster:
        raise
    except ClusterFault as fault:
        raise ClusterFault(f"KServe's default mode cannot be read: {fault}; or choose with --mode") from fault
    mode = mode_of(spelled)
    if mode is None:
        raise ClusterFault(f"KServe's default mode here is {spelled or 'not said'!r}: choose with --mode")
    return mode, spelled


def _server_version(connection: Connection) -> str:
    said = connection.document("/version").get("gitVersion")
    if not isinstance(said, str):
        raise NoCluster(f"{connection.server} is no API server: it tells no version")
    return said


def _groups(connection: Connection) -> frozenset[str]:
    return frozenset(str(each["name"]) for each in connection.document("/apis").get("groups") or ())


def _config(connection: Connection, system: str) -> dict[str, Any]:
    found = connection.get(CONFIG_MAP, CONFIG, system)
    if found is None:
        raise ClusterFault(
            f"there is no ConfigMap {CONFIG} in namespace {system}: --kserve-namespace says where KServe is installed"
        )
    parts: dict[str, Any] = {}
    for name, text in (found.get("data") or {}).items():
        try:
            parts[name] = json.loads(text)
        except ValueError:  # an example in prose, `_example`
            continue
    return parts


def _fields(connection: Connection) -> frozenset[str]:
    """The fields of an InferenceService down to those of a component, from the API server's own schema."""
    schemas = (connection.document(SCHEMA).get("components") or {}).get("schemas") or {}
    schema = next((found for name, found in schemas.items() if name.endswith(".InferenceService")), None)
    if schema is None:
        raise ClusterFault(f"{SCHEMA} holds no InferenceService")
    paths: set[str] = set()

    def walk(part: Mapping[str, Any], path: str, depth: int) -> None:
        for name, inner in (part.get("properties") or {}).items():
            paths.add(f"{path}{name}")
            if depth:
                walk(inner, f"{path}{name}.", depth - 1)

    walk(schema, "", 2)
    return frozenset(paths)


def _kserve_version(connection: Connection, system: str) -> str:
    found = connection.get(DEPLOYMENT, CONTROLLER, system)
    if found is None:
        raise ClusterFault(f"there is no Deployment {CONTROLLER} in namespace {system}")
    images = [each["image"] for each in found["spec"]["template"]["spec"]["containers"]]
    tags = [match[1] for each in images if (match := _TAG.search(each)) and "kserve" in each]
    if not tags:
        raise ClusterFault(f"the image of {CONTROLLER} names no version: {', '.join(images)}")
    return tags[0]


def _runtimes(connection: Connection) -> list[Manifest]:
    found = [*connection.objects(CLUSTER_SERVING_RUNTIME), *connection.objects(SERVING_RUNTIME)]
    return [each for each in found if each["metadata"]["name"].startswith(PROGRAM)]


def _labels(connection: Connection) -> dict[str, str]:
    found = connection.get(NAMESPACE, connection.namespace)
    if found is None:
        raise ClusterFault(f"there is no namespace {connection.namespace}")
    labels: dict[str, str] = found["metadata"].get("labels") or {}
    return labels


def _gpus(connection: Connection) -> int:
    nodes = connection.objects(NODE)
    return sum(int(((each.get("status") or {}).get("allocatable") or {}).get(GPU, 0)) for each in nodes)


def _refusal(connection: Connection, mode: Mode) -> str:
    """What the cluster says to a small InferenceService of ours, which is not kept."""
    wish = Wish("kserve-vision-doctor", "s3://bucket/model", mode)
    try:
        connection.apply(INFERENCE_SERVICE, inference_service(wish), dry_run=True)
    except ClusterFault as fault:
        return str(fault)
    return ""
