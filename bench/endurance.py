"""Many requests to a pair that was started for them: the memory that it comes to hold, and its health meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from bench.measured import Endurance
from bench.requests import Files
from bench.servers import Running, Setup, running_pair
from load.child import Child
from load.measured import Measured
from load.plan import MAX_SECONDS, Closed, Health, Plan, Server
from load.sample import percentiles

CLIENTS: Final = 8


@dataclass(frozen=True, slots=True)
class EndurancePair:
    """Starts a pair, and has it answer `POST /predict` many times."""

    setup: Setup
    generator: Child
    requests: Files

    def endure(self, count: int) -> Endurance:
        """Ask `count` times, in two halves.

        Raises:
            ServerFailed, ChildFailed: as their names say.
        """
        with running_pair(self.setup) as pair:
            first, second = (self.generator.ask(self._plan(pair, count // 2)) for _ in range(2))
        return Endurance(
            requests=len(first.latencies_ms) + len(second.latencies_ms),
            half_peak_bytes=first.peak_bytes,
            peak_bytes=second.peak_bytes,
            health={name: found for name in first.probed if (found := percentiles(_probes(name, first, second)))},
        )

    def _plan(self, pair: Running, count: int) -> Plan:
        return Plan(
            server=Server(protocol="http", host=pair.host, port=pair.transformer.http, route="predict"),
            requests=self.requests,
            load=Closed(clients=CLIENTS),
            seconds=MAX_SECONDS,
            count=count,
            pids=pair.pids,
            health={
                "transformer": Health(host=pair.host, port=pair.transformer.http),
                "predictor": Health(host=pair.host, port=pair.predictor.http),
            },
        )


def _probes(name: str, *halves: Measured) -> list[float]:
    return [latency for half in halves for latency in half.probed[name].latencies_ms]
