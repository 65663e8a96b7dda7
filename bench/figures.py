"""The figures: the one table that the report, its JSON and bench/README.md are made of.

Every figure is computed in each round from that round's samples; its value is the median over the rounds.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from bench.measured import Endurance, FirstRequest
from bench.rounds import CLIENTS, OVERLOAD, SATURATING, SEVERAL, Round
from load.sample import NothingMeasured, Percentiles

MB: Final = 1e6
HONEST: Final = ("200", "429")
"""How a server in overload may answer."""
SATURATED: Final = f"predict_{SATURATING}"


@dataclass(frozen=True, slots=True)
class Goal:
    """What a figure should be; it is shown, never enforced."""

    rule: Literal["at most", "at least"]
    bound: float

    def __str__(self) -> str:
        shown = f"{self.bound:.2f}" if self.bound < 10 else f"{self.bound:g}"  # noqa: PLR2004  # two digits are enough
        return f"{'≤' if self.rule == 'at most' else '≥'} {shown}"

    def met(self, value: float) -> bool:
        """Whether a value is within the bound."""
        return value <= self.bound if self.rule == "at most" else value >= self.bound


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of the report: its key in the JSON, and where it comes from."""

    key: str
    unit: str
    meaning: str
    of: Callable[[Round], float]
    goal: Goal | None = None

    def in_rounds(self, rounds: Sequence[Round]) -> list[float]:
        """Return its value in each round whose samples it needs were taken."""
        values = []
        for measured in rounds:
            try:
                values.append(self.of(measured))
            except (KeyError, NothingMeasured):
                continue
        return values

    def value(self, rounds: Sequence[Round]) -> float | None:
        """Return its median over the rounds; None where it was not measured."""
        values = self.in_rounds(rounds)
        return statistics.median(values) if values else None


@dataclass(frozen=True, slots=True)
class Section:
    """Figures that belong together."""

    title: str
    figures: tuple[Figure, ...]


def limit_cpu_ms(r: Round) -> float:
    """CPU ms of a picture in one process: of the cheaper configuration."""
    return min(r["limit_whole_wide"].cpu("limit"), r["limit_whole_deep"].cpu("limit"))


def limit_per_second(r: Round) -> float:
    """Pictures a second in one process: of the faster configuration."""
    return max(r["limit_whole_wide"].per_second, r["limit_whole_deep"].per_second)


def run_cpu_ms(r: Round) -> float:
    """CPU ms of session.run: of the cheaper configuration."""
    return min(r["limit_run_wide"].cpu("limit"), r["limit_run_deep"].cpu("limit"))


def _run_per_second(r: Round) -> float:
    return max(r["limit_run_wide"].per_second, r["limit_run_deep"].per_second)


def _endured(r: Round) -> Endurance:
    if r.endurance is None:
        raise KeyError("endurance")
    return r.endurance


def _over(r: Round) -> Percentiles:
    return r["overload"].answered


def _asked(r: Round) -> int:
    return r["overload"].requests + r["overload"].refused


def _refused(r: Round) -> float:
    return r["overload"].refused / _asked(r)


def _health_p99(server: str) -> Callable[[Round], float]:
    return lambda r: _endured(r).health[server].p99_ms


def _peak(server: str) -> Callable[[Round], float]:
    return lambda r: _endured(r).peak_bytes[server] / MB


def _both(peaks: Mapping[str, int]) -> float:
    return sum(peaks.values()) / MB


def _first(r: Round) -> FirstRequest:
    if r.first_request is None:
        raise KeyError("first_request")
    return r.first_request


def _in_process() -> Iterator[Figure]:
    yield Figure(
        "limit_per_second",
        "1/s",
        "Pictures a second in one process without a server: decode, resize, session.run and labels; the better of one "
        "caller for each CPU with one thread each, and one caller with a thread for each CPU.",
        limit_per_second,
    )
    yield Figure("limit_cpu_ms", "ms", "CPU time of one of them; of the cheaper of the two.", limit_cpu_ms)
    yield Figure(
        "prepare_cpu_ms",
        "ms",
        "CPU time of decode and resize alone, a caller for each CPU.",
        lambda r: r["limit_prepare"].cpu("limit"),
    )
    yield Figure(
        "prepare_wall_ms", "ms", "Its time by the clock, median.", lambda r: r["limit_prepare"].answered.p50_ms
    )
    yield Figure(
        "session_run_per_second",
        "1/s",
        "Runs a second of the bare session on one picture's pixels; the better of the two configurations.",
        _run_per_second,
    )
    yield Figure("session_run_cpu_ms", "ms", "CPU time of one run; of the cheaper of the two.", run_cpu_ms)
    yield Figure(
        "session_run_wall_ms",
        "ms",
        "Time by the clock of one run, median, for one caller with a thread for each CPU.",
        lambda r: r["limit_run_deep"].answered.p50_ms,
    )


def _predict(n: int) -> Iterator[Figure]:
    clients = "1 client" if n == 1 else f"{n} clients"
    what = f"POST /predict with {clients}"
    name = f"predict_{n}"
    yield Figure(f"{name}_per_second", "1/s", f"{what}: pictures a second.", lambda r: r[name].per_second)
    yield Figure(f"{name}_p50_ms", "ms", f"{what}: latency, median.", lambda r: r[name].answered.p50_ms)
    yield Figure(f"{name}_p90_ms", "ms", f"{what}: latency, 90th percentile.", lambda r: r[name].answered.p90_ms)
    yield Figure(f"{name}_p99_ms", "ms", f"{what}: latency, 99th percentile.", lambda r: r[name].answered.p99_ms)
    yield Figure(
        f"{name}_cpu_ms",
        "ms",
        f"{what}: CPU time of both servers for one picture.",
        lambda r: r[name].cpu("transformer", "predictor"),
    )
    yield Figure(
        f"{name}_transformer_cpu_ms", "ms", f"{what}: the transformer's part.", lambda r: r[name].cpu("transformer")
    )
    yield Figure(f"{name}_predictor_cpu_ms", "ms", f"{what}: the predictor's part.", lambda r: r[name].cpu("predictor"))


def _predict_ratios() -> Iterator[Figure]:
    yield Figure(
        "predict_cpu_ratio",
        "x",
        "predict_8_cpu_ms over limit_cpu_ms.",
        lambda r: r["predict_8"].cpu("transformer", "predictor") / limit_cpu_ms(r),
        Goal("at most", 1.15),
    )
    yield Figure(
        "predict_throughput_ratio",
        "x",
        "predict_32_per_second over limit_per_second. The load generator uses the same CPUs.",
        lambda r: r["predict_32"].per_second / limit_per_second(r),
        Goal("at least", 0.85),
    )
    yield Figure(
        "predict_8_p99_over_p50",
        "x",
        "predict_8_p99_ms over predict_8_p50_ms.",
        lambda r: r["predict_8"].answered.p99_ms / r["predict_8"].answered.p50_ms,
        Goal("at most", 2.0),
    )
    yield Figure(
        "generator_cpu_ms",
        "ms",
        "CPU time of the load generator for one picture of predict_8; in no other figure.",
        lambda r: r["predict_8"].cpu("generator"),
    )


def _path(name: str, what: str, servers: Sequence[str], bound: float) -> Iterator[Figure]:
    """The whole path of a picture, through the processes called `servers`."""
    yield Figure(f"{name}_per_second", "1/s", f"{what}: pictures a second.", lambda r: r[name].per_second)
    yield Figure(f"{name}_p50_ms", "ms", f"{what}: latency, median.", lambda r: r[name].answered.p50_ms)
    yield Figure(f"{name}_p99_ms", "ms", f"{what}: latency, 99th percentile.", lambda r: r[name].answered.p99_ms)
    yield Figure(
        f"{name}_cpu_ms",
        "ms",
        f"{what}: CPU time of the servers for one picture.",
        lambda r: r[name].cpu(*servers),
    )
    yield Figure(
        f"{name}_cpu_ratio",
        "x",
        f"{name}_cpu_ms over limit_cpu_ms.",
        lambda r: r[name].cpu(*servers) / limit_cpu_ms(r),
        Goal("at most", bound),
    )


def _predictor(name: str, protocol: str, bound: float) -> Iterator[Figure]:
    what = f"The predictor alone, one picture's pixels over {protocol}, {SEVERAL} at a time"
    yield Figure(f"{name}_per_second", "1/s", f"{what}: requests a second.", lambda r: r[name].per_second)
    yield Figure(f"{name}_p50_ms", "ms", f"{what}: latency, median.", lambda r: r[name].answered.p50_ms)
    yield Figure(f"{name}_p99_ms", "ms", f"{what}: latency, 99th percentile.", lambda r: r[name].answered.p99_ms)
    yield Figure(
        f"{name}_cpu_ms", "ms", f"{what}: CPU time of the predictor for one.", lambda r: r[name].cpu("predictor")
    )
    yield Figure(
        f"{name}_cpu_ratio",
        "x",
        f"{name}_cpu_ms over session_run_cpu_ms.",
        lambda r: r[name].cpu("predictor") / run_cpu_ms(r),
        Goal("at most", bound),
    )


def _bare_grpc() -> Iterator[Figure]:
    name = "bare_grpc"
    what = f"A server of nothing but grpc.aio and session.run, the predictor's gRPC requests, {SEVERAL} at a time"
    yield Figure(f"{name}_per_second", "1/s", f"{what}: requests a second.", lambda r: r[name].per_second)
    yield Figure(f"{name}_p50_ms", "ms", f"{what}: latency, median.", lambda r: r[name].answered.p50_ms)
    yield Figure(f"{name}_cpu_ms", "ms", f"{what}: its CPU time for one.", lambda r: r[name].cpu("bare"))
    yield Figure(
        f"{name}_cpu_ratio",
        "x",
        f"{name}_cpu_ms over session_run_cpu_ms: what gRPC's library costs by itself.",
        lambda r: r[name].cpu("bare") / run_cpu_ms(r),
    )


def _overload() -> Iterator[Figure]:
    name = "overload"
    what = f"POST /predict at {OVERLOAD} times the rate of {SATURATED}, at random times"
    yield Figure(f"{name}_per_second", "1/s", f"{what}: pictures answered a second.", lambda r: r[name].per_second)
    yield Figure(f"{name}_refused_share", "share", f"{what}: the share that was not answered with 200.", _refused)
    yield Figure(f"{name}_p50_ms", "ms", f"{what}: latency of those with 200, median.", lambda r: _over(r).p50_ms)
    yield Figure(f"{name}_p99_ms", "ms", f"{what}: the same, 99th percentile.", lambda r: _over(r).p99_ms)
    yield Figure(
        f"{name}_throughput_ratio",
        "x",
        f"{name}_per_second over {SATURATED}_per_second.",
        lambda r: r[name].per_second / r[SATURATED].per_second,
        Goal("at least", 0.9),
    )
    yield Figure(
        f"{name}_honest_share",
        "share",
        f"{what}: the share that was answered with 200 or 429.",
        lambda r: sum(count for kind, count in r[name].kinds.items() if kind[:3] in HONEST) / _asked(r),
        Goal("at least", 1.0),
    )
    yield Figure(
        f"{name}_p99_ratio",
        "x",
        f"{name}_p99_ms over {SATURATED}_p99_ms.",
        lambda r: _over(r).p99_ms / r[SATURATED].answered.p99_ms,
        Goal("at most", 2.0),
    )


def _endurance() -> Iterator[Figure]:
    what = f"after 10,000 requests (--endurance) of {SEVERAL} clients at POST /predict"
    for server in ("transformer", "predictor"):
        yield Figure(
            f"health_{server}_p99_ms",
            "ms",
            f"GET /v2/health/live of the {server} during these requests, every 50 ms: latency, 99th percentile.",
            _health_p99(server),
            Goal("at most", 20.0),
        )
    for server in ("transformer", "predictor"):
        yield Figure(
            f"memory_{server}_mb",
            "MB",
            f"The most memory that the {server} has held (VmHWM) {what}.",
            _peak(server),
        )
    yield Figure(
        "memory_mb", "MB", "The same of both together.", lambda r: _both(_endured(r).peak_bytes), Goal("at most", 400.0)
    )
    yield Figure(
        "memory_growth",
        "x",
        "memory_mb over its value after half of the requests.",
        lambda r: _both(_endured(r).peak_bytes) / _both(_endured(r).half_peak_bytes),
        Goal("at most", 1.05),
    )


def _first_request() -> Iterator[Figure]:
    yield Figure(
        "first_request_ms",
        "ms",
        "The first POST /predict to a pair that was started for it and says that it is ready, connecting included.",
        lambda r: _first(r).first_ms,
    )
    yield Figure(
        "first_request_steady_ms", "ms", "The median of the 50 that follow, one by one.", lambda r: _first(r).steady_ms
    )
    yield Figure(
        "first_request_ratio",
        "x",
        "first_request_ms over first_request_steady_ms.",
        lambda r: _first(r).first_ms / _first(r).steady_ms,
        Goal("at most", 1.5),
    )


def _wire() -> Iterator[Figure]:
    yield Figure(
        "to_predictor_bytes",
        "bytes",
        "The request from the transformer to the predictor for one picture (224x224), over V2 REST with a binary "
        "tensor: head, JSON and pixels.",
        lambda r: r["predictor_rest_binary"].sent_bytes,
    )
    yield Figure(
        "from_predictor_bytes",
        "bytes",
        "The predictor's answer to it.",
        lambda r: r["predictor_rest_binary"].answer_bytes,
    )


_OVER_GRPC: Final = f"V2 gRPC to the transformer, one JPEG as raw BYTES, {SEVERAL} calls at a time"
_ONE_PROCESS: Final = f"POST /predict to both servers in one process, {SEVERAL} clients"


SECTIONS: Final = (
    Section("In one process", tuple(_in_process())),
    *(Section(f"POST /predict, clients: {n}", tuple(_predict(n))) for n in CLIENTS),
    Section("POST /predict, ratios", tuple(_predict_ratios())),
    Section("POST /predict, one process", tuple(_path("one_process", _ONE_PROCESS, ["edge"], 1.10))),
    Section("Transformer, V2 gRPC", tuple(_path("transformer_grpc", _OVER_GRPC, ["transformer", "predictor"], 1.15))),
    Section("Predictor, V2 gRPC", tuple(_predictor("predictor_grpc", "V2 gRPC, raw", 1.10))),
    Section(
        "Predictor, V2 REST binary", tuple(_predictor("predictor_rest_binary", "V2 REST as a binary tensor", 1.20))
    ),
    Section("Predictor, V2 REST JSON", tuple(_predictor("predictor_rest_json", "V2 REST as JSON", 2.5))),
    Section("Bare gRPC, for comparison", tuple(_bare_grpc())),
    Section("Overload", tuple(_overload())),
    Section("Health and memory", tuple(_endurance())),
    Section("First request", tuple(_first_request())),
    Section("Between the servers", tuple(_wire())),
)

FIGURES: Final = tuple(figure for section in SECTIONS for figure in section.figures)
