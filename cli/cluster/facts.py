"""What a cluster has, read once: the facts that `doctor` judges."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from cli.cluster.kinds import (
    CLUSTER_SERVING_RUNTIME,
    GATEWAY,
    INFERENCE_SERVICE,
    NAMESPACE,
    NODE,
    SERVING_RUNTIME,
    Manifest,
)
from cli.cluster.rendering import PROGRAM, Wish, inference_service
from rollout import ApiError, NoCluster, RolloutError, Unknown
from rollout.connection import Connection
from rollout.installed import NAMESPACE as SYSTEM
from rollout.installed import Installed, read_config, read_version
from rollout.mode import Mode

SCHEMA: Final = "/openapi/v3/apis/serving.kserve.io/v1beta1"
"""Which every user may read who is known, unlike the CRD."""
GPU: Final = "nvidia.com/gpu"
INSTALL_RUNTIMES: Final = "`kubectl apply --server-side -k manifests/runtimes/{}`, or the chart kserve-vision-platform"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Facts:
    """What a cluster has. What could not be read is None, and the reason is in `unknown` under the field's name."""

    namespace: str
    server_version: str | None = None
    groups: frozenset[str] | None = None
    """API groups that are served."""
    fields: frozenset[str] | None = None
    """Paths in the schema of an InferenceService: `spec.canary`."""
    kserve: Installed = field(default_factory=Installed)
    """Of its fields, too, the reasons are in `unknown`."""
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
        return self.kserve.default_mode

    def has(self, group: str) -> bool:
        """Whether an API group is served."""
        return group in (self.groups or ())

    def why_unknown(self, name: str) -> str:
        """Why a field is None."""
        return self.unknown.get(name, "it was not asked for")


def look(connection: Connection, system: str = SYSTEM) -> Facts:
    """Read what there is; `system` is KServe's namespace.

    Raises:
        NoCluster: the API server does not answer, or not to this user.
    """
    version, groups = _server_version(connection), _groups(connection)
    unknown: dict[str, str] = {}

    def known(name: str, read: Callable[[], T]) -> T | None:
        try:
            return read()
        except RolloutError as error:
            unknown[name] = str(error)
            return None

    if INFERENCE_SERVICE.version.partition("/")[0] not in groups:
        return Facts(connection.namespace, version, groups)
    kserve = Installed(
        known("version", lambda: read_version(connection, system)),
        known("config", lambda: read_config(connection, system)),
    )
    return Facts(
        namespace=connection.namespace,
        server_version=version,
        groups=groups,
        fields=known("fields", lambda: _fields(connection)),
        kserve=kserve,
        runtimes=known("runtimes", lambda: _runtimes(connection)),
        namespace_labels=known("namespace_labels", lambda: _labels(connection)),
        gateways=known("gateways", lambda: connection.objects(GATEWAY, "")),
        gpus=known("gpus", lambda: _gpus(connection)),
        refusal=_refusal(connection, kserve.default_mode or Mode.STANDARD),
        unknown=unknown,
    )


def default_mode(connection: Connection, system: str = SYSTEM) -> tuple[Mode, str]:
    """The mode of what names none, and how this KServe spells it.

    Raises:
        Unknown: KServe does not tell, or not to this user.
        NoCluster: the API server does not answer, or not to this user.
    """
    try:
        kserve = Installed(config=read_config(connection, system))
    except NoCluster:
        raise
    except RolloutError as error:
        raise Unknown(f"KServe's default mode cannot be read: {error}; or choose with --mode") from error
    if kserve.default_mode is None:
        spelled = kserve.default_mode_spelled or "not said"
        raise Unknown(f"KServe's default mode here is {spelled!r}: choose with --mode")
    return kserve.default_mode, kserve.default_mode_spelled


def _server_version(connection: Connection) -> str:
    said = connection.document("/version").get("gitVersion")
    if not isinstance(said, str):
        raise NoCluster(f"{connection.server} is no API server: it tells no version")
    return said


def _groups(connection: Connection) -> frozenset[str]:
    return frozenset(str(each["name"]) for each in connection.document("/apis").get("groups") or ())


def _fields(connection: Connection) -> frozenset[str]:
    """The fields of an InferenceService down to those of a component, from the API server's own schema."""
    schemas = (connection.document(SCHEMA).get("components") or {}).get("schemas") or {}
    schema = next((found for name, found in schemas.items() if name.endswith(".InferenceService")), None)
    if schema is None:
        raise Unknown(f"{SCHEMA} holds no InferenceService")
    paths: set[str] = set()

    def walk(part: Mapping[str, Any], path: str, depth: int) -> None:
        for name, inner in (part.get("properties") or {}).items():
            paths.add(f"{path}{name}")
            if depth:
                walk(inner, f"{path}{name}.", depth - 1)

    walk(schema, "", 2)
    return frozenset(paths)


def _runtimes(connection: Connection) -> list[Manifest]:
    found = [*connection.objects(CLUSTER_SERVING_RUNTIME), *connection.objects(SERVING_RUNTIME)]
    return [each for each in found if each["metadata"]["name"].startswith(PROGRAM)]


def _labels(connection: Connection) -> dict[str, str]:
    found = connection.get(NAMESPACE, "", connection.namespace)
    if found is None:
        raise Unknown(f"there is no namespace {connection.namespace}")
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
    except ApiError as error:
        return str(error)
    return ""
