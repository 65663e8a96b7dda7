"""Variants, and the round that holds one sample of each.

Machines are noisy, and slow down or speed up for seconds at a time. So all variants are measured one after the other in
short windows, again and again, and a ratio is made of two samples of one round.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from bench.limit import LimitPlan
from bench.measured import Endurance, FirstRequest
from bench.requests import Files, Requests
from bench.servers import Running
from load.child import Child
from load.plan import MAX_RATE, Closed, Open, Plan, Route, Server
from load.sample import Sample, sum_up

CLIENTS: Final = (1, 8, 32)
"""How many clients `POST /predict` is measured with."""
SEVERAL: Final = 8
"""How many clients every other served variant is measured with."""
SATURATING: Final = 32
"""How many clients saturate the servers."""
OVERLOAD: Final = 3
"""How many times the requests that saturate the servers come in overload."""
RAMP: Final = 0.5
"""Seconds under load before a window opens, as a share of the window."""
OVERLOAD_RAMP_S: Final = 2.0
"""Seconds of overload before a window opens: the queues must be full."""
OVERLOAD_WINDOW_S: Final = 2.0
"""The shortest window in overload: answers come late."""


class Round(BaseModel):
    """One sample of each variant that was measured."""

    model_config = ConfigDict(frozen=True)

    samples: dict[str, Sample] = Field(default_factory=dict)
    first_request: FirstRequest | None = None
    endurance: Endurance | None = None
    """In the last round only: it takes a minute."""

    def __getitem__(self, variant: str) -> Sample:
        """Return a variant's sample; KeyError where it was not measured."""
        return self.samples[variant]


@dataclass(frozen=True, slots=True)
class Variant:
    """What is measured: its name, the process that measures it, and what that process is told."""

    name: str
    child: Child
    plan: Plan | LimitPlan

    def sample(self) -> Sample:
        """Measure it once."""
        return sum_up(self.child.ask(self.plan))


def limit_variants(child: Child, cpus: int, seconds: float) -> list[Variant]:
    """Return the in-process variants: `wide` is a caller for each CPU with one thread each, `deep` one caller with a
    thread for each CPU.
    """

    def variant(name: str, **plan: object) -> Variant:
        return Variant(name, child, LimitPlan.model_validate({"seconds": seconds, **plan}))

    return [
        variant("limit_whole_wide", stage="whole", workers=cpus),
        variant("limit_whole_deep", stage="whole", workers=1, threads=cpus),
        variant("limit_prepare", stage="prepare", workers=cpus),
        variant("limit_run_wide", stage="run", workers=cpus),
        variant("limit_run_deep", stage="run", workers=1, threads=cpus),
    ]


def served_variants(
    child: Child, running: Running, requests: Requests, seconds: float, clients: Sequence[int]
) -> list[Variant]:
    """Return the served variants. The generator's own CPU time is read too, to show that it is small."""

    def variant(name: str, port: int, files: Files, callers: int, *servers: str) -> Variant:
        protocol: Literal["grpc", "http"] = "grpc" if name.endswith("grpc") else "http"
        route: Route = "predict" if files is requests.predict else "infer"
        server = Server(protocol=protocol, host=running.host, port=port, route=route)
        return _closed(name, child, server, files, seconds, {each: running.pids[each] for each in servers}, callers)

    both = "transformer", "predictor"
    transformer, predictor = running.transformer, running.predictor
    return [
        *(variant(f"predict_{n}", transformer.http, requests.predict, n, *both) for n in clients),
        variant("transformer_grpc", transformer.grpc, requests.picture_grpc, SEVERAL, *both),
        variant("predictor_grpc", predictor.grpc, requests.tensor_grpc, SEVERAL, "predictor"),
        variant("predictor_rest_binary", predictor.http, requests.tensor_binary, SEVERAL, "predictor"),
        variant("predictor_rest_json", predictor.http, requests.tensor_json, SEVERAL, "predictor"),
    ]


def one_process_variant(child: Child, port: int, pid: int, requests: Requests, seconds: float) -> Variant:
    """Return `POST /predict` to both servers as one process."""
    server = Server(protocol="http", port=port, route="predict")
    return _closed("one_process", child, server, requests.predict, seconds, {"edge": pid})


def bare_grpc_variant(child: Child, port: int, pid: int, requests: Requests, seconds: float) -> Variant:
    """Return the reference row: the predictor's gRPC requests to a server that is nothing but gRPC and a session."""
    server = Server(protocol="grpc", port=port)
    return _closed("bare_grpc", child, server, requests.tensor_grpc, seconds, {"bare": pid})


def _closed(  # noqa: PLR0913, PLR0917  # what a variant is
    name: str,
    child: Child,
    server: Server,
    files: Files,
    seconds: float,
    pids: Mapping[str, int],
    clients: int = SEVERAL,
) -> Variant:
    """Return a closed loop, with the CPU time of the servers and of the generator itself."""
    plan = Plan(
        server=server,
        requests=files,
        load=Closed(clients=clients),
        ramp_seconds=RAMP * seconds,
        seconds=seconds,
        pids={**pids, "generator": child.pid},
    )
    return Variant(name, child, plan)


def overload_variant(child: Child, running: Running, requests: Requests, seconds: float, rate: float) -> Variant:
    """Return `POST /predict` at `rate` requests a second, more than the servers can answer."""
    plan = Plan(
        server=Server(protocol="http", host=running.host, port=running.transformer.http, route="predict"),
        requests=requests.predict,
        load=Open(rate=min(rate, MAX_RATE)),
        ramp_seconds=OVERLOAD_RAMP_S,
        seconds=max(seconds, OVERLOAD_WINDOW_S),
        refusals="count",
        pids=running.pids | {"generator": child.pid},
    )
    return Variant("overload", child, plan)
