"""kubectl, helm and kustomize as a user runs them, for a cluster or without one."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.cluster.manifests import Manifest, manifests
from tools.cache import located

LIMIT_S: Final = 120.0
NOWHERE: Final = """
apiVersion: v1
kind: Config
clusters: [{name: nowhere, cluster: {server: "http://127.0.0.1:1"}}]
contexts: [{name: nowhere, context: {cluster: nowhere, user: nobody}}]
users: [{name: nobody, user: {}}]
current-context: nowhere
"""


class CommandFailed(Exception):
    """A command ended with an exit code; the message is what it wrote to stderr."""


@dataclass(frozen=True)
class CommandLine:
    """The programs, with a home of their own: nothing of the user's configuration is read or written."""

    folder: Path
    kubeconfig: Path | None = None
    """The cluster that they speak to; without one, they cannot reach any."""

    def kubectl(self, *arguments: str | Path, stdin: str = "") -> str:
        """Run kubectl, and return what it printed.

        Raises:
            CommandFailed: it failed.
        """
        return self._run("kubectl", *arguments, stdin=stdin)

    def helm(self, *arguments: str | Path) -> str:
        """Run helm, and return what it printed.

        Raises:
            CommandFailed: it failed.
        """
        return self._run("helm", *arguments)

    def render_kustomize(self, path: Path) -> list[Manifest]:
        """The objects of an overlay.

        Raises:
            CommandFailed: it cannot be built.
        """
        return manifests(self._run("kustomize", "build", path))

    def render_chart(self, chart: Path, *arguments: str | Path, release: str = "demo") -> list[Manifest]:
        """The objects of a chart; `arguments` are `--set` and others of `helm template`.

        Raises:
            CommandFailed: it refuses these values.
        """
        return manifests(self._run("helm", "template", release, chart, *arguments))

    def _run(self, program: str, *arguments: str | Path, stdin: str = "") -> str:
        done = subprocess.run(
            [located(program), *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            env=self._environ(),
            check=False,
        )
        if done.returncode:
            raise CommandFailed(done.stderr.strip())
        return done.stdout

    def _environ(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "KUBECONFIG": str(self.kubeconfig or self._nowhere()),
            "NO_PROXY": "127.0.0.1",
        }

    def _nowhere(self) -> Path:
        """A kubeconfig whose server nobody is; without any, kubectl would try whoever listens on port 8080."""
        path = self.folder / "no-cluster.yaml"
        path.write_text(NOWHERE)
        return path
