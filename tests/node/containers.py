"""containerd on the node: its configuration, its start, and the images that it is given."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

from tests.cluster.daemons import Daemon
from tests.node.images import BUILT, PAUSE, export_built, make_pause
from tests.node.isolation import POD_RANGE
from tools.cache import located

PLUGINS: Final = ("bridge", "host-local", "loopback", "portmap")
CONFIGURATION: Final = """
version = 3
root = '{folder}/root'
state = '{folder}/state'
[grpc]
  address = '{folder}/containerd.sock'
[plugins.'io.containerd.cri.v1.images']
  snapshotter = 'overlayfs'
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = '{pause}'
[plugins.'io.containerd.cri.v1.runtime']
  # Without CAP_SYS_RESOURCE nobody may make a process less likely to be killed than itself.
  restrict_oom_score_adj = true
  disable_apparmor = true
  netns_mounts_under_state_dir = true
[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = ['{folder}/bin']
  conf_dir = '{folder}/cni'
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = 'io.containerd.runc.v2'
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
  BinaryName = '{runc}'
  SystemdCgroup = false
[plugins.'io.containerd.nri.v1.nri']
  disable = true
[plugins.'io.containerd.internal.v1.opt']
  path = '{folder}/opt'
"""


class Containerd:
    """A running containerd with the images; `socket` is where kubelet finds it."""

    def __init__(self, folder: Path, log: Path) -> None:
        self.folder = folder
        self.socket = folder / "containerd.sock"
        self._collect_programs()
        self._write_network()
        configuration = folder / "config.toml"
        configuration.write_text(CONFIGURATION.format(folder=folder, pause=PAUSE, runc=shutil.which("runc")))
        path = {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}
        self.daemon = Daemon([located("containerd"), "--config", configuration], log, path)
        self.daemon.wait_until(self._answers)

    def import_images(self) -> None:
        """Import the images under the manifests' names, and the one that holds pods' namespaces."""
        for archive in (make_pause(self.folder), export_built(self.folder / "built.tar")):
            self._ctr("images", "import", str(archive))
            archive.unlink()
        for built, wanted in BUILT.items():
            self._ctr("images", "tag", built, *wanted)

    def _collect_programs(self) -> None:
        """The shim and the network plugins are looked for by their names."""
        programs = self.folder / "bin"
        programs.mkdir(parents=True)
        for name in ("containerd-shim-runc-v2", *PLUGINS):
            (programs / name).symlink_to(located(name))

    def _write_network(self) -> None:
        addresses: dict[str, object] = {
            "type": "host-local",
            "dataDir": str(self.folder / "addresses"),
            "routes": [{"dst": "0.0.0.0/0"}],
        }
        addresses["ranges"] = [[{"subnet": POD_RANGE}]]
        bridge = {"type": "bridge", "bridge": "cni0", "isGateway": True, "hairpinMode": True, "ipam": addresses}
        ports = {"type": "portmap", "capabilities": {"portMappings": True}}
        network = {"cniVersion": "1.0.0", "name": "pods", "plugins": [bridge, ports]}
        (self.folder / "cni").mkdir()
        (self.folder / "cni/10-pods.conflist").write_text(json.dumps(network))

    def _answers(self) -> bool:
        return self._run("version").returncode == 0

    def _ctr(self, *arguments: str) -> None:
        done = self._run(*arguments)
        if done.returncode:
            raise RuntimeError(f"ctr {' '.join(arguments)}: {done.stderr}")

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(located("ctr")), "--address", str(self.socket), "--namespace", "k8s.io", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)
