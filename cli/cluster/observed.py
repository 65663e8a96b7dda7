"""What a cluster shows of InferenceServices: the objects as they are, read once, and grouped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from cli.cluster.kinds import (
    DEPLOYMENT,
    EVENT,
    HTTP_ROUTE,
    INFERENCE_SERVICE,
    KNATIVE_SERVICE,
    OF,
    POD,
    Kind,
    Manifest,
    condition,
)
from cli.cluster.rendering import MANAGED_BY, PROGRAM
from rollout import Denied, NoSuchKind
from rollout.connection import Connection
from rollout.mode import Mode, mode_of

COMPONENTS: Final = ("predictor", "transformer")


@dataclass(frozen=True, slots=True)
class Observed:
    """An InferenceService, and what there is of it."""

    service: Manifest
    deployments: Sequence[Manifest] = ()
    knative: Sequence[Manifest] = ()
    """Its Knative Services."""
    routes: Sequence[Manifest] = ()
    """Its HTTPRoutes."""
    pods: Sequence[Manifest] = ()
    events: Sequence[Manifest] = ()
    """Of the InferenceService, its pods and their ReplicaSets; the oldest first."""
    answers: dict[str, str] = field(default_factory=dict)
    """By a pod's name, what it says of its readiness."""
    withheld: Sequence[str] = ()
    """What could not be read, and why."""

    @property
    def name(self) -> str:
        """The InferenceService's name."""
        return str(self.service["metadata"]["name"])

    @property
    def namespace(self) -> str:
        """The InferenceService's namespace."""
        return str(self.service["metadata"]["namespace"])

    @property
    def status(self) -> Manifest:
        """The InferenceService's status; empty where KServe has not seen it."""
        return self.service.get("status") or {}

    @property
    def mode(self) -> Mode | None:
        """How it is run; None where KServe has not said so."""
        return mode_of(str(self.status.get("deploymentMode", "")))

    @property
    def runtime(self) -> str:
        """The runtime that serves it, or that it asks for; "" where it has none."""
        asked = (self.service["spec"].get("predictor") or {}).get("model") or {}
        used = self.status.get("clusterServingRuntimeName") or self.status.get("servingRuntimeName")
        return str(used or asked.get("runtime") or "")

    @property
    def is_ours(self) -> bool:
        """Whether a runtime of ours serves it, or this program deployed it with another."""
        labels = self.service["metadata"].get("labels") or {}
        return self.runtime.startswith(PROGRAM) or labels.get(MANAGED_BY) == PROGRAM

    def condition(self, kind: str) -> Manifest:
        """A condition of the InferenceService; empty where it has none of that type."""
        return condition(self.service, kind)


def observe(connection: Connection, name: str | None = None) -> list[Observed]:
    """Read one InferenceService (none where there is none of the name), or all of the namespace.

    What the user may not read of them is left out, and said in `withheld`.

    Raises:
        ApiError: InferenceServices themselves cannot be read.
    """
    if name is None:
        services = connection.objects(INFERENCE_SERVICE)
    else:
        services = [found] if (found := connection.get(INFERENCE_SERVICE, connection.namespace, name)) else []
    if not services:
        return []
    withheld: list[str] = []

    def read(kind: Kind, labels: str = "", fields: str = "") -> list[Manifest]:
        return _unless_withheld(lambda: connection.objects(kind, labels=labels, fields=fields), withheld)

    labels = OF if name is None else f"{OF}={name}"
    modes = {mode_of(str((each.get("status") or {}).get("deploymentMode", ""))) for each in services}
    standard, knative = Mode.STANDARD in modes, Mode.KNATIVE in modes
    pods = read(POD, labels)
    deployments = read(DEPLOYMENT, labels) if standard else []
    routes = read(HTTP_ROUTE) if standard else []
    revisions = read(KNATIVE_SERVICE) if knative else []
    events = [event for fields in _about(name) for event in read(EVENT, fields=fields)]
    events.sort(key=event_time)
    return [
        Observed(
            service=service,
            deployments=[each for each in deployments if _belongs(each, service)],
            knative=[each for each in revisions if _is_component(each, service)],
            routes=[each for each in routes if _is_owned(each, service)],
            pods=[each for each in pods if _belongs(each, service)],
            events=[each for each in events if _is_about(each, service, [*pods, *deployments])],
            withheld=tuple(dict.fromkeys(withheld)),
        )
        for service in services
    ]


def event_time(event: Manifest) -> str:
    """When an event was seen last, in ISO 8601."""
    series = event.get("series") or {}
    return str(
        series.get("lastObservedTime")
        or event.get("lastTimestamp")
        or event.get("eventTime")
        or event["metadata"]["creationTimestamp"]
    )


def _about(name: str | None) -> tuple[str, ...]:
    service = "involvedObject.kind=InferenceService" + (f",involvedObject.name={name}" if name else "")
    return service, "involvedObject.kind=Pod", "involvedObject.kind=ReplicaSet,type=Warning"


def _unless_withheld(read: Callable[[], list[Manifest]], withheld: list[str]) -> list[Manifest]:
    try:
        return read()
    except Denied as error:
        withheld.append(str(error))
    except NoSuchKind:  # a cluster without a Gateway API has no routes of that kind
        pass
    return []


def _belongs(manifest: Manifest, service: Manifest) -> bool:
    return bool((manifest["metadata"].get("labels") or {}).get(OF) == service["metadata"]["name"])


def _is_owned(manifest: Manifest, service: Manifest) -> bool:
    owners = manifest["metadata"].get("ownerReferences") or ()
    return any(each.get("uid") == service["metadata"]["uid"] for each in owners)


def _is_component(manifest: Manifest, service: Manifest) -> bool:
    return manifest["metadata"]["name"] in {f"{service['metadata']['name']}-{each}" for each in COMPONENTS}


def _is_about(event: Manifest, service: Manifest, parts: Sequence[Manifest]) -> bool:
    about = event["involvedObject"]
    if about["kind"] == "InferenceService":
        return bool(about["name"] == service["metadata"]["name"])
    names = {each["metadata"]["name"] for each in parts if _belongs(each, service)}
    whole = about["name"] if about["kind"] == "Pod" else about["name"].rpartition("-")[0]  # a ReplicaSet's Deployment
    return whole in names
