"""The overlays of manifests/ on a cluster: applied, and what KServe's controller made of them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from rollout.kinds import Kind
from tests.cluster.cluster import Cluster
from tests.cluster.kinds import CONFIG_MAP, DEPLOYMENT, KNATIVE_SERVICE, SERVICE_ACCOUNT
from tests.cluster.kserve import Mode
from tests.cluster.manifests import Manifest
from tests.cluster.node import Node

ROOT: Final = Path(__file__).parents[2] / "manifests"
WORKLOAD: Final = {Mode.STANDARD: DEPLOYMENT, Mode.KNATIVE: KNATIVE_SERVICE}


def overlays(mode: Mode) -> list[str]:
    """The names of a mode's overlays: their folders below it, without the parts that an overlay has for itself."""
    top = ROOT / "overlays" / mode.value.lower()
    folders = [file.parent for file in sorted(top.rglob("kustomization.yaml"))]
    whole = [each for each in folders if not any(other in each.parents for other in folders)]
    return [each.relative_to(top).as_posix() for each in whole]


def mode_of(cluster: Cluster) -> Mode:
    """The mode that the cluster's KServe has by default."""
    config = cluster.get(CONFIG_MAP, "inferenceservice-config", "kserve")
    assert config is not None
    return Mode.STANDARD if Mode.STANDARD.value in config["data"]["deploy"] else Mode.KNATIVE


@dataclass(frozen=True)
class Deployed:
    """An overlay in a namespace of its own, with its workloads."""

    cluster: Cluster
    namespace: str
    rendered: list[Manifest]
    templates: dict[str, Manifest]
    """The pod template of each Deployment or Knative Service, by its name."""

    def rendered_kind(self, kind: str) -> list[Manifest]:
        """What the overlay itself has of a kind."""
        return [each for each in self.rendered if each["kind"] == kind]

    def only(self, kind: Kind) -> Manifest:
        """The one object of a kind in the namespace."""
        (found,) = self.cluster.objects(kind, self.namespace)
        return found

    def pod(self, workload: str = "model-predictor", namespace: str = "") -> Manifest:
        """A workload's pod as admission leaves it, in the overlay's namespace or another.

        Raises:
            Refused: it was not let in.
        """
        return Node(self.cluster).admit_pod(self.templates[workload], namespace or self.namespace)

    def restricted_namespace(self) -> str:
        """A namespace that enforces the restricted level, with the overlay's service accounts and their Secrets."""
        namespace = self.cluster.namespace(enforce="restricted")
        for account in self.rendered_kind("ServiceAccount"):
            self.cluster.create(SERVICE_ACCOUNT, account, namespace)
        self.make_secrets(namespace)
        return namespace

    def make_secrets(self, namespace: str = "") -> None:
        """Make the Secrets that the overlay's service accounts name, as its user has to: the keys of a store."""
        for account in self.rendered_kind("ServiceAccount"):
            for each in account.get("secrets", ()):
                endpoint = {"serving.kserve.io/s3-endpoint": "s3.example.com"}
                metadata = {"name": each["name"], "annotations": endpoint}
                keys = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key"}
                secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": keys}
                self.cluster.apply(secret, namespace or self.namespace)


@cache
def deployed(cluster: Cluster, overlay: str) -> Deployed:
    """Apply an overlay of the cluster's mode, once for all tests that ask; its InferenceServices are ready."""
    return deploy(cluster, ROOT / "overlays" / mode_of(cluster).value.lower() / overlay)


def deploy(cluster: Cluster, folder: Path) -> Deployed:
    """Apply the runtimes and a kustomization, and wait until KServe has made its workloads and is ready."""
    mode = mode_of(cluster)
    for runtimes in (mode.value.lower(), "storage"):
        cluster.apply(cluster.command_line.render_kustomize(ROOT / "runtimes" / runtimes))
    namespace = cluster.namespace()
    rendered = cluster.command_line.render_kustomize(folder)
    cluster.apply(rendered, namespace)
    expected = set(_workloads(rendered))
    for each in rendered:
        if each["kind"] == "InferenceService":
            Node(cluster).make_ready(each["metadata"]["name"], namespace)
    made: dict[str, Manifest] = {}

    def all_made() -> bool:
        made.update({each["metadata"]["name"]: each for each in cluster.objects(WORKLOAD[mode], namespace)})
        return expected <= made.keys()

    cluster.until(all_made, f"KServe did not make all of {', '.join(sorted(expected))} of {folder}")
    templates = {name: each["spec"]["template"] for name, each in made.items()}
    return Deployed(cluster, namespace, rendered, templates)


def combined(folder: Path, resources: list[Path], components: list[str], **fields: Any) -> Path:
    """Write a user's kustomization on top of ours into `folder`, and return the folder."""
    content = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [os.path.relpath(each, folder.resolve()) for each in resources],
        "components": [os.path.relpath(ROOT / each, folder.resolve()) for each in components],
        **fields,
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(content))
    return folder


def containers(template: Manifest) -> dict[str, Manifest]:
    """The containers of a template or a pod, by name; init containers included."""
    spec = template["spec"]
    return {each.get("name", ""): each for each in [*spec.get("initContainers", ()), *spec["containers"]]}


def environment(container: Manifest) -> dict[str, str]:
    """A container's variables that have plain values."""
    return {each["name"]: each["value"] for each in container.get("env", ()) if "value" in each}


def _workloads(rendered: list[Manifest]) -> list[str]:
    names = []
    for each in rendered:
        name = each["metadata"]["name"]
        if each["kind"] == "InferenceGraph":
            names.append(name)
        if each["kind"] == "InferenceService":
            names.append(f"{name}-predictor")
            names += [f"{name}-transformer"] if "transformer" in each["spec"] else []
            names += [f"{name}-{canary['predictor']['name']}-predictor" for canary in each["spec"].get("canary", ())]
    return names


COVERED: Final[dict[Mode, set[str]]] = {mode: set() for mode in Mode}
"""The overlays that have a test of their own."""


def about(mode: Mode, *names: str) -> pytest.MarkDecorator:
    """Mark a test as being about these overlays: it runs with each as `overlay`."""
    COVERED[mode] |= set(names)
    return pytest.mark.parametrize("overlay", names)
