"""Which tools there are, and the Go module each is made from.

One folder beside this file is one family: a Go module of ours, whose `go.mod` names the version and whose `go.sum`
holds its hashes. Families are apart because their pins of Kubernetes' libraries contradict each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent
KSERVE: Final = "github.com/kserve/kserve"
CONTAINERD: Final = "github.com/containerd/containerd/v2"
VERSION_VARIABLE: Final = "k8s.io/component-base/version"


@dataclass(frozen=True)
class Binary:
    """A program that is built."""

    name: str
    family: str
    """The folder of the Go module."""
    module: str
    """The module whose version is the program's."""
    package: str
    """The package below the module."""
    stamp: str = ""
    """The linker's flags that tell the program its version; `{version}`, `{major}` and `{minor}` are filled in."""
    sources: tuple[str, ...] = ()
    """The files in the family's folder where the program is ours, and the module is the library that it asks."""


@dataclass(frozen=True)
class Files:
    """Folders that are taken from a Go module as they are."""

    name: str
    module: str
    folders: tuple[str, ...]
    family: str = ""
    """The family whose `go.mod` names the version; none where the two fields below do."""
    version: str = ""
    sum: str = ""
    """The module's hash, as `go.sum` would write it."""


def _kubernetes(name: str) -> Binary:
    """A server of this release; without the stamp it calls itself v0.0.0, and clients misbehave."""
    stamp = (
        f"-X {VERSION_VARIABLE}.gitVersion={{version}} -X {VERSION_VARIABLE}.gitMajor={{major}} "
        f"-X {VERSION_VARIABLE}.gitMinor={{minor}}"
    )
    return Binary(name, "kubernetes", "k8s.io/kubernetes", f"cmd/{name}", stamp)


def _containerd(name: str) -> Binary:
    stamp = f"-X {CONTAINERD}/version.Version={{version}}"
    return Binary(name, "containerd", CONTAINERD, f"cmd/{name}", stamp)


def _cni(name: str) -> Binary:
    return Binary(name.rpartition("/")[2], "cni", "github.com/containernetworking/plugins", f"plugins/{name}")


def _earlier_schemas(release: str, version: str, checksum: str) -> Files:
    return Files(f"kserve-crds-{release}", KSERVE, ("config/crd/full",), version=version, sum=checksum)


CONTROL_PLANE: Final = ("kube-apiserver", "etcd", "kubectl")
"""What `KUBEBUILDER_ASSETS` holds where somebody has set it."""

CONTAINERS: Final = ("containerd", "containerd-shim-runc-v2", "ctr", "bridge", "loopback", "host-local", "portmap")
"""containerd and the CNI plugins of one node; runc is the distribution's."""

BINARIES: Final = {
    each.name: each
    for each in (
        _kubernetes("kube-apiserver"),
        _kubernetes("kubectl"),
        Binary("etcd", "etcd", "go.etcd.io/etcd/server/v3", ""),
        Binary("helm", "helm", "helm.sh/helm/v4", "cmd/helm", "-X helm.sh/helm/v4/internal/version.version={version}"),
        Binary("kustomize", "kustomize", "sigs.k8s.io/kustomize/kustomize/v5", ""),
        Binary("kserve-manager", "kserve", KSERVE, "cmd/manager"),
        Binary("knative-check", "knative", "knative.dev/serving", "", sources=("main.go",)),
        Binary("prometheus-query", "prometheus", "github.com/prometheus/prometheus", "", sources=("main.go",)),
        _kubernetes("kube-controller-manager"),
        _kubernetes("kube-scheduler"),
        _kubernetes("kubelet"),
        _kubernetes("kube-proxy"),
        *map(_containerd, ("containerd", "containerd-shim-runc-v2", "ctr")),
        Binary("coredns", "coredns", "github.com/coredns/coredns", "", sources=("main.go",)),
        *map(_cni, ("main/bridge", "main/loopback", "ipam/host-local", "meta/portmap")),
    )
}

FILES: Final = {
    each.name: each
    for each in (
        Files("kserve-files", KSERVE, ("config", "test/crds"), family="kserve"),
        Files("kserve-initializer", KSERVE, ("python/storage-initializer",), family="kserve"),
        Files("knative-crds", "knative.dev/serving", ("config/core/300-resources",), family="knative"),
        _earlier_schemas("0.15", "v0.15.2", "h1:uph7Umk331fvBMrHHpTJNDt6+lf3IAuyiskaQw8wIAk="),
        _earlier_schemas("0.17", "v0.17.0", "h1:IaynaBFzVQz1Xyrw5n3ncqzd5Y7L1RkO+YWvVwwtMQE="),
        _earlier_schemas("0.19", "v0.19.0", "h1:8Pbdm9Ekn1JEuHrobqJhZI4uRHyf5bk1ofb5+3kEI14="),
        Files(
            "prometheus-crds",
            "github.com/prometheus-operator/prometheus-operator",
            ("example/prometheus-operator-crd",),
            version="v0.85.0",
            sum="h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=",
        ),
    )
}

GROUPS: Final = {
    "cluster": (*CONTROL_PLANE, "kustomize", "helm", "kserve-manager", "knative-check", "prometheus-query", *FILES),
    "controllers": ("kube-controller-manager", "kube-scheduler"),
    "node": ("kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "coredns", *CONTAINERS),
}
"""`cluster`: what `make test-cluster` runs. `node`: what a whole node needs beside it."""
