"""The platform's chart in a cluster, for as long as a module's tests need it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from tests.cluster.charts_releases import PLATFORM, Release, Values, merged, settings
from tests.cluster.cluster import Cluster
from tests.cluster.examples import inference_service
from tests.cluster.kserve import Mode
from tests.cluster.refusal import Refuser

STORES: Final = [{"prefix": "s3://models/"}]


@dataclass(frozen=True)
class Installed:
    """A cluster with the platform's chart for its mode."""

    cluster: Cluster
    mode: Mode

    def release(self, values: Values, *, mode: bool = True, enforce: str = "restricted") -> Release:
        """Install the model's chart in a namespace of its own, with the mode said in the values or not."""
        release = Release(self.cluster, self.cluster.namespace(enforce=enforce))
        release.install(merged({"mode": self.mode.value} if mode else {}, values))
        return release

    def upgrade(self, values: Values) -> str:
        """Install the platform's chart, or upgrade it, with these values, and return what helm printed."""
        ours = {"mode": self.mode.value, "storageContainer": {"enabled": True, "uriFormats": STORES}}
        # Runtimes that others applied in this cluster are taken over.
        arguments = (
            "upgrade",
            "--install",
            "platform",
            PLATFORM,
            "--namespace",
            "default",
            "--take-ownership",
            "--force-conflicts",
        )
        return self.cluster.command_line.helm(*arguments, *settings(merged(ours, values)))

    def refuses(self) -> bool:
        """Whether the API server has noticed the policy, which takes it a moment."""
        model = {"modelFormat": {"name": "onnx"}, "runtime": "kserve-vision", "storageUri": "s3://models/1"}
        bad = inference_service({"model": model, "canaryTrafficPercent": 101})
        refused = self.cluster.refusal(bad)
        return refused is not None and refused.by is Refuser.POLICY


@contextmanager
def installed_platform(cluster: Cluster, mode: Mode) -> Iterator[Installed]:
    """Install the platform's chart, wait until its policy holds, and uninstall it at the end."""
    installed = Installed(cluster, mode)
    installed.upgrade({})
    cluster.until(installed.refuses, "the policy does not hold")
    yield installed
    cluster.command_line.helm("uninstall", "platform", "--namespace", "default")
