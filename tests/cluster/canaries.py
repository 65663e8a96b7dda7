"""Canaries on a cluster whose pods, gateways and revisions are played, driven as the command line drives them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from typing_extensions import override

from rollout import Candidate, Conflict, Objects, Observed, Step, Traffic, Wait, drive, traffic_of
from rollout.kinds import CONFIG_MAP, HTTP_ROUTE, Manifest
from rollout.kinds import INFERENCE_SERVICE as SERVICE_KIND
from rollout.kinds import Kind as RolloutKind
from rollout.kubeconfig import Target, connect
from rollout.objects import Operation
from tests.cluster.cluster import Cluster
from tests.cluster.daemons import POLL_S
from tests.cluster.kinds import AUTOSCALER, DEPLOYMENT, INFERENCE_SERVICE
from tests.cluster.node import Node
from tests.cluster.refusal import Refused

FIRST, SECOND, THIRD = "s3://models/1", "s3://models/2", "s3://models/3"
NAME: Final = "demo"
LIMIT_S: Final = 20.0
RELEASER: Final = "releaser"
"""A user who may do what a canary needs, and nothing else."""
BOTH_MODES: Final = (
    ("serving.kserve.io", "inferenceservices", "get patch"),
    ("", "configmaps", "get create delete"),
)
KNATIVE_RIGHTS: Final = (*BOTH_MODES, ("serving.knative.dev", "services", "get"))
STANDARD_RIGHTS: Final = (
    *BOTH_MODES,
    ("", "configmaps", "patch"),
    ("apps", "deployments", "get"),
    ("", "services", "get"),
    ("gateway.networking.k8s.io", "httproutes", "get delete"),
    ("autoscaling", "horizontalpodautoscalers", "get delete"),
)


class Killed(Exception):
    """The process ended here."""


def api_objects(cluster: Cluster, user: str = "") -> Objects:
    """The door that the command line uses, with the administrator's kubeconfig; or acting as somebody else."""
    kubeconfig = cluster.plane.write_kubeconfig(cluster.plane.folder / user, user) if user else cluster.kubeconfig
    return connect(Target(kubeconfig))


class Overlaid(Objects):
    """Objects that may be read otherwise than they are, and whose writes are noticed."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def seen(self, _kind: RolloutKind, manifest: Manifest) -> Manifest:
        """What is read instead."""
        return manifest

    def written(self) -> None:
        """Notice a write."""

    @override
    def get(self, kind: RolloutKind, namespace: str, name: str) -> Manifest | None:
        found = self._objects.get(kind, namespace, name)
        return None if found is None else self.seen(kind, found)

    @override
    def create(self, kind: RolloutKind, manifest: Manifest) -> Manifest:
        created = self._objects.create(kind, manifest)
        self.written()
        return created

    @override
    def patch(
        self,
        kind: RolloutKind,
        namespace: str,
        name: str,
        operations: Sequence[Operation],
        *,
        dry_run: bool = False,
    ) -> Manifest:
        patched = self._objects.patch(kind, namespace, name, operations, dry_run=dry_run)
        if not dry_run:
            self.written()
        return patched

    @override
    def delete(self, kind: RolloutKind, namespace: str, name: str, uid: str, version: str = "") -> None:
        self._objects.delete(kind, namespace, name, uid, version)
        self.written()


class Mortal(Overlaid):
    """Objects of a process that is killed right after its `writes`-th write."""

    def __init__(self, objects: Objects, writes: int) -> None:
        super().__init__(objects)
        self._left = writes

    @override
    def written(self) -> None:
        self._left -= 1
        if self._left == 0:
            raise Killed


class PlayedSplit(Overlaid):
    """A cluster whose KServe splits traffic: the HTTPRoute is read with the weights that the controller after 0.20.0
    writes, for candidates that the status calls ready. The split is played; all else is what is there.
    """

    @override
    def seen(self, kind: RolloutKind, manifest: Manifest) -> Manifest:
        if kind != HTTP_ROUTE:
            return manifest
        service = self._objects.get(SERVICE_KIND, manifest["metadata"]["namespace"], NAME)
        return manifest if service is None else _weighted(manifest, service)


class WithoutGatewayApi(Overlaid):
    """A cluster whose KServe is configured for Ingress."""

    @override
    def seen(self, kind: RolloutKind, manifest: Manifest) -> Manifest:
        if kind != CONFIG_MAP or manifest["metadata"]["name"] != "inferenceservice-config":
            return manifest
        ingress = json.loads(manifest["data"]["ingress"]) | {"enableGatewayApi": False}
        return manifest | {"data": manifest["data"] | {"ingress": json.dumps(ingress)}}


def _weighted(route: Manifest, service: Manifest) -> Manifest:
    statuses = service.get("status", {}).get("canaryStatuses") or ()
    ready = {each["name"] for each in statuses if each["ready"]}
    entries = [each for each in service["spec"].get("canary") or () if each["predictor"]["name"] in ready]
    if not service["spec"].get("canary"):
        return route
    for rule in route["spec"]["rules"]:
        (stable,) = rule["backendRefs"]
        stable["weight"] = 100 - sum(each["trafficPercent"] for each in entries)
        rule["backendRefs"] += [
            stable | {"name": f"{NAME}-{each['predictor']['name']}-predictor", "weight": each["trafficPercent"]}
            for each in entries
        ]
    return route


@dataclass
class Stage:
    """An InferenceService `demo` in a namespace, and what plays around it while somebody waits."""

    cluster: Cluster
    namespace: str
    play: Callable[[], object]
    objects: Objects
    said: list[str] = field(default_factory=list)
    limits: dict[Wait, float] = field(default_factory=lambda: dict.fromkeys(Wait, LIMIT_S))

    def traffic(self, objects: Objects | None = None) -> Traffic:
        """What a new process would drive."""
        return traffic_of(objects or self.objects, self.namespace, NAME)

    def run(self, decide: Callable[[Traffic], Step], objects: Objects | None = None) -> Step:
        """Do what a command does, to its end; `said` has what it told."""
        traffic = self.traffic(objects)
        self.said.clear()
        return drive(
            traffic,
            lambda: decide(traffic),
            limits=self.limits,
            tell=lambda step: self.said.append(step.says),
            clock=time.monotonic,
            sleep=self._wait,
        )

    def take(self, decide: Callable[[Traffic], Step]) -> Step:
        """Take one step; it is decided anew where KServe wrote a status meanwhile."""
        traffic = self.traffic()
        while True:
            step = decide(traffic)
            try:
                traffic.take(step)
            except Conflict:
                continue
            return step

    def start(self, uri: str = SECOND, percent: int = 10, name: str = "", objects: Objects | None = None) -> Step:
        """Start a canary, to its end."""
        return self.run(lambda traffic: traffic.start(Candidate(uri, percent, name)), objects)

    def read(self) -> Observed:
        """Look."""
        return self.traffic().read()

    def service(self) -> Manifest:
        """The InferenceService."""
        found = self.cluster.get(INFERENCE_SERVICE, NAME, self.namespace)
        assert found is not None
        return found

    def edit(self, change: Manifest) -> None:
        """What somebody else does meanwhile."""
        self.cluster.patch(INFERENCE_SERVICE, NAME, self.namespace, change)

    def settle(self) -> None:
        """Let all come up that was asked for."""
        self.cluster.until(self._is_settled, "it did not come up")

    def _is_settled(self) -> bool:
        self.play()
        observed = self.read()
        versions = [each for each in (observed.stable, observed.candidate) if each is not None]
        asked = None if observed.candidate is None else observed.wished
        return all(each.ready for each in versions) and shares(observed)[1] == asked

    def _wait(self, _: float) -> None:
        self.play()
        time.sleep(POLL_S)


def scale(cluster: Cluster, namespace: str) -> None:
    """What an autoscaler does where nobody asks for much: each Deployment has the fewest pods that it may have."""
    for autoscaler in cluster.objects(AUTOSCALER, namespace):
        name, fewest = autoscaler["spec"]["scaleTargetRef"]["name"], autoscaler["spec"]["minReplicas"]
        deployment = cluster.get(DEPLOYMENT, name, namespace)
        if deployment is not None and deployment["spec"].get("replicas") != fewest:
            cluster.patch(DEPLOYMENT, name, namespace, {"spec": {"replicas": fewest}})


def stage(cluster: Cluster, spec: Manifest, objects: Objects | None = None) -> Stage:
    """Bring an InferenceService up in a namespace of its own, and return it ready."""
    namespace = cluster.namespace()
    manifest = {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": NAME},
        "spec": spec,
    }
    cluster.apply(manifest, namespace)
    node = Node(cluster)
    node.make_ready(NAME, namespace)

    def play() -> None:
        try:
            scale(cluster, namespace)
            node.bring_up(NAME, namespace)
        except Refused as refused:  # KServe deleted it since it was listed
            if "not found" not in refused.message:
                raise

    return Stage(cluster, namespace, play, objects or api_objects(cluster))


def shares(observed: Observed) -> tuple[int | None, int | None]:
    """What the stable version and the candidate get, as it is observed."""
    return observed.stable.percent, None if observed.candidate is None else observed.candidate.percent


def role(*rules: tuple[str, str, str], subject: str = "User") -> list[Manifest]:
    """The rights of the user, or the group, `releaser` in a namespace: groups, resources and verbs, each with spaces
    between.
    """
    parts = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": "releaser"}}
    named = [
        {"apiGroups": [group], "resources": which.split(), "verbs": verbs.split()} for group, which, verbs in rules
    ]
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "releaser"}
    whose = {"apiGroup": "rbac.authorization.k8s.io", "kind": subject, "name": RELEASER}
    return [
        {"kind": "Role", **parts, "rules": named},
        {"kind": "RoleBinding", **parts, "subjects": [whose], "roleRef": reference},
    ]
