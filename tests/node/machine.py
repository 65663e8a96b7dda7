"""A whole node: controllers, scheduler, names, containerd, kubelet and kube-proxy around a control plane."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import yaml

from rollout.kinds import is_true
from tests.cluster.cluster import Cluster
from tests.cluster.control_plane import ControlPlane
from tests.cluster.daemons import HOST, Daemon
from tests.cluster.kinds import NODE
from tests.node.containers import Containerd
from tests.node.isolation import ADDRESS, POD_RANGE, control_group, node_folder
from tools.cache import located

NAME: Final = "node1"
DOMAIN: Final = "cluster.local"
NAMES: Final = """
. {{
  bind {address}
  errors
  kubernetes {domain} {{
    kubeconfig {kubeconfig}
  }}
}}
"""
"""Names of Services, for CoreDNS. No other name is known."""


def join_node(cluster: Cluster) -> None:
    """Start all that makes pods of Deployments and runs them; the node is ready."""
    plane = cluster.plane
    folder = node_folder()
    containers = Containerd(folder / "containerd", plane.folder / "containerd.log")
    plane.daemons.append(containers.daemon)
    containers.import_images()
    _start_controllers(plane)
    _start_names(plane, folder)
    _start_kubelet(plane, folder, containers)
    _start_proxy(plane, folder)
    cluster.wait_for(NODE, NAME, "", lambda node: is_true(node, "Ready"))


def _start_controllers(plane: ControlPlane) -> None:
    folder = plane.folder
    same = [f"--kubeconfig={plane.kubeconfig}", f"--bind-address={HOST}", "--leader-elect=false", "--profiling=false"]
    same += [f"--{each}-kubeconfig={plane.kubeconfig}" for each in ("authentication", "authorization")]
    same.append("--authentication-tolerate-lookup-failure=true")
    controllers = [
        f"--service-account-private-key-file={folder / 'service-accounts.key'}",
        f"--root-ca-file={plane.authority.bundle}",
    ]
    _start(plane, "kube-controller-manager", *same, *controllers)
    _start(plane, "kube-scheduler", *same)


def _start_names(plane: ControlPlane, folder: Path) -> None:
    names = folder / "Corefile"
    names.write_text(NAMES.format(address=ADDRESS, domain=DOMAIN, kubeconfig=plane.kubeconfig))
    _start(plane, "coredns", f"-conf={names}")


def _start_kubelet(plane: ControlPlane, folder: Path, containers: Containerd) -> None:
    configuration = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        # Nobody but these tests reaches this network.
        "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
        "authorization": {"mode": "AlwaysAllow"},
        "address": ADDRESS,
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{control_group()}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "containerRuntimeEndpoint": f"unix://{containers.socket}",
        "clusterDNS": [ADDRESS],
        "clusterDomain": DOMAIN,
        "resolvConf": "",
        "oomScoreAdj": 0,
        "podLogsDir": str(folder / "pod-logs"),
        "evictionHard": {"memory.available": "200Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
    }
    _start(
        plane,
        "kubelet",
        f"--config={_written(folder / 'kubelet.yaml', configuration)}",
        f"--kubeconfig={plane.kubeconfig}",
        f"--root-dir={folder / 'kubelet'}",
        f"--cert-dir={folder / 'kubelet-certificates'}",
        f"--hostname-override={NAME}",
        f"--node-ip={ADDRESS}",
    )


def _start_proxy(plane: ControlPlane, folder: Path) -> None:
    configuration = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(plane.kubeconfig)},
        "mode": "nftables",
        "clusterCIDR": POD_RANGE,
        "hostnameOverride": NAME,
        "oomScoreAdj": 0,
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        "bindAddress": ADDRESS,
    }
    _start(plane, "kube-proxy", f"--config={_written(folder / 'kube-proxy.yaml', configuration)}")


def _start(plane: ControlPlane, program: str, *flags: str) -> None:
    plane.daemons.append(Daemon([located(program), *flags], plane.folder / f"{program}.log"))


def _written(path: Path, configuration: dict[str, Any]) -> Path:
    path.write_text(yaml.safe_dump(configuration))
    return path
