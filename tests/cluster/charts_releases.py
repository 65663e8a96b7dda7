"""Releases of our charts: rendered, or installed with helm in a cluster."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rollout.kinds import Kind
from tests.cluster.cluster import Cluster
from tests.cluster.command_line import CommandLine
from tests.cluster.kinds import DEPLOYMENT, KNATIVE_SERVICE
from tests.cluster.manifests import Manifest

ROOT: Final = Path(__file__).parents[2]
CHARTS: Final = ROOT / "charts"
MODEL: Final = CHARTS / "kserve-vision"
PLATFORM: Final = CHARTS / "kserve-vision-platform"
STORED: Final = {"storage": {"uri": "s3://models/demo"}}

Values = dict[str, Any]


RESTRICTED: Final = {"storage": {"containerName": "kserve-vision-restricted"}}
EVERYTHING: Final = {
    "networkPolicy": {"enabled": True},
    "monitoring": {"podMonitor": {"enabled": True}, "rules": {"enabled": True}},
}
SCRAPED: Final[Values] = {"monitoring": {"podMonitor": {"enabled": True}}}
KEDA: Final[Values] = {
    "autoscaling": {"type": "keda", "maxReplicas": 4, "keda": {"serverAddress": "http://prometheus.monitoring:9090"}},
    **SCRAPED,
}
V2: Final = {"name": "v2", "trafficPercent": 30, "storageUri": "s3://models/v2"}
FIRST: Final = "s3://models/demo"
SPREAD: Final = {"maxSkew": 1, "topologyKey": "rack", "whenUnsatisfiable": "ScheduleAnyway"}
BUDGET: Final = Kind("policy/v1", "poddisruptionbudgets")


def settings(values: Values) -> list[str]:
    """The values as arguments of helm."""
    return [f"--set-json={key}={json.dumps(value)}" for key, value in values.items()]


def rendered(command_line: CommandLine, values: Values, chart: Path = MODEL, release: str = "demo") -> list[Manifest]:
    """The objects of a chart, of the model's with a model in storage.

    Raises:
        CommandFailed: the chart refuses these values.
    """
    stored = STORED if chart is MODEL else {}
    return command_line.render_chart(chart, *settings(merged(stored, values)), release=release)


def merged(values: Values, over: Values) -> Values:
    """The values with others over them."""
    result = dict(values)
    for key, value in over.items():
        below = result.get(key)
        result[key] = merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return result


def one(manifests: list[Manifest], kind: str) -> Manifest:
    """The only object of a kind."""
    (found,) = [each for each in manifests if each["kind"] == kind]
    return found


@dataclass(frozen=True)
class Release:
    """A release of the model's chart in a namespace."""

    cluster: Cluster
    namespace: str
    name: str = "demo"

    def install(self, values: Values, chart: Path = MODEL) -> str:
        """Install or upgrade it, from another version of the chart too, and return what helm printed.

        Raises:
            CommandFailed: the chart or the cluster refuses it.
        """
        arguments = ("upgrade", "--install", self.name, chart, "--namespace", self.namespace)
        return self.cluster.command_line.helm(*arguments, *settings(merged(STORED, values)))

    def template(self, component: str = "predictor", candidate: str = "") -> Manifest:
        """The pod template that KServe makes for a component, once it is there."""
        middle = f"-{candidate}" if candidate else ""
        return self.workload(f"{self.name}{middle}-{component}")["spec"]["template"]  # type: ignore[no-any-return]

    def workload(self, name: str) -> Manifest:
        """The Deployment or Knative Service of that name, once it is there."""
        found: list[Manifest | None] = []

        def there() -> bool:
            found[:] = [self.cluster.get(kind, name, self.namespace) for kind in (DEPLOYMENT, KNATIVE_SERVICE)]
            return any(found)

        self.cluster.until(there, f"KServe made no {name}: {self.cluster.events(self.name, self.namespace)}")
        return next(each for each in found if each is not None)
