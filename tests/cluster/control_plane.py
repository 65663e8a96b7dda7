"""etcd and kube-apiserver on loopback, with a kubeconfig for an administrator."""

from __future__ import annotations

import secrets
import ssl
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import yaml

from tests.cluster.certificates import Authority, signing_key
from tests.cluster.daemons import HOST, Daemon, free_ports
from tools.cache import located

ADMINISTRATOR: Final = "administrator"
SERVICE_RANGE: Final = "10.96.0.0/16"
ADMISSION: Final = (
    "MutatingAdmissionWebhook",
    "PodSecurity",
    "ServiceAccount",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionWebhook",
)


@dataclass(frozen=True)
class ControlPlane:
    """A running API server, and what one needs to speak with it."""

    url: str
    token: str
    """The administrator's bearer token."""
    authority: Authority
    folder: Path
    """Its logs and the kubeconfig; they stay after the run, with pytest's temporary folders."""
    daemons: list[Daemon]
    """What runs, in the order it was started; whoever starts more adds to it."""

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    def client(self) -> httpx.Client:
        """An HTTP client that is the administrator."""
        return httpx.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {self.token}"},
            verify=ssl.create_default_context(cafile=str(self.authority.bundle)),
            timeout=30.0,
            trust_env=False,
        )

    def write_kubeconfig(self, path: Path, user: str = "") -> Path:
        """Write a kubeconfig for the administrator, or for a user who the administrator then acts as."""
        account: dict[str, Any] = {"token": self.token} | ({"as": user} if user else {})
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {"name": "tests", "cluster": {"server": self.url, "certificate-authority": str(self.authority.bundle)}}
            ],
            "users": [{"name": "tests", "user": account}],
            "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "tests"}}],
            "current-context": "tests",
        }
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump(config))
        return path


@contextmanager
def running_control_plane(folder: Path, *flags: str) -> Iterator[ControlPlane]:
    """etcd and kube-apiserver, ready; ended by pid with everything that was added to `daemons`, the last first.

    `flags` are more of the API server's.
    """
    etcd_port, peer_port, api_port = free_ports(3)
    token = secrets.token_hex(16)
    plane = ControlPlane(f"https://{HOST}:{api_port}", token, Authority(folder), folder, [])
    with ExitStack() as stack:
        stack.callback(_stop_all, plane.daemons)
        _start_etcd(plane, etcd_port, peer_port)
        _start_api_server(plane, etcd_port, api_port, flags)
        plane.write_kubeconfig(plane.kubeconfig)
        yield plane


def _stop_all(daemons: list[Daemon]) -> None:
    with ExitStack() as stack:
        for each in daemons:
            stack.callback(each.stop)


def _start_etcd(plane: ControlPlane, port: int, peer_port: int) -> None:
    client, peer = f"http://{HOST}:{port}", f"http://{HOST}:{peer_port}"
    command = [
        located("etcd"),
        f"--data-dir={plane.folder / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--unsafe-no-fsync",  # nobody wants this data after a crash
    ]
    etcd = Daemon(command, plane.folder / "etcd.log")
    plane.daemons.append(etcd)
    etcd.wait_until(lambda: httpx.get(f"{client}/health", trust_env=False).is_success)


def _start_api_server(plane: ControlPlane, etcd_port: int, port: int, flags: Sequence[str]) -> None:
    folder = plane.folder
    serving = plane.authority.serving_pair(folder, "kube-apiserver")
    signing = signing_key(folder)
    tokens = folder / "tokens.csv"
    tokens.touch(mode=0o600)
    tokens.write_text(f"{plane.token},{ADMINISTRATOR},{ADMINISTRATOR},system:masters\n")
    command = [
        located("kube-apiserver"),
        f"--etcd-servers=http://{HOST}:{etcd_port}",
        f"--bind-address={HOST}",
        f"--advertise-address={HOST}",
        f"--secure-port={port}",
        f"--tls-cert-file={serving.certificate}",
        f"--tls-private-key-file={serving.key}",
        f"--token-auth-file={tokens}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={signing}",
        f"--service-account-signing-key-file={signing}",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        "--endpoint-reconciler-type=none",
        "--authorization-mode=RBAC",
        # All are among the defaults; they are named since tests rely on them.
        f"--enable-admission-plugins={','.join(ADMISSION)}",
        "--allow-privileged=true",
        "--profiling=false",
        *flags,
    ]
    server = Daemon(command, folder / "kube-apiserver.log")
    plane.daemons.append(server)
    with plane.client() as client:
        server.wait_until(lambda: client.get("/readyz").is_success)
