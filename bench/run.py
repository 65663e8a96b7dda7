"""One run: the children, the pair, and the rounds."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveFloat, PositiveInt

from bench.endurance import EndurancePair
from bench.pictures import make_pictures
from bench.requests import write_requests
from bench.rounds import (
    CLIENTS,
    OVERLOAD,
    SATURATING,
    Round,
    Variant,
    bare_grpc_variant,
    limit_variants,
    one_process_variant,
    overload_variant,
    served_variants,
)
from bench.servers import MODEL, FreshPair, Setup, running_bare_grpc, running_one_process, running_pair
from load.child import Child
from serving.contract import PIXELS, load_model_directory
from serving.cpu import cpu_limit

Report = Callable[[str], None]
"""Is told, before each step, what comes next."""


class Plan(BaseModel):
    """How long a run is, and what is left out of it."""

    model_config = ConfigDict(frozen=True)

    rounds: PositiveInt = 5
    seconds: PositiveFloat = 1.0
    """The length of each window."""
    clients: tuple[PositiveInt, ...] = CLIENTS
    endurance: NonNegativeInt = 10_000
    """How many requests the pair answers whose memory is watched; 0 leaves it out."""
    predictor_flags: tuple[str, ...] = ()
    transformer_flags: tuple[str, ...] = ()

    @property
    def steps(self) -> int:
        """How often `Report` is called."""
        overload = SATURATING in self.clients
        return 1 + self.rounds * (1 + 5 + 6 + len(self.clients) + overload) + bool(self.endurance)


def run(plan: Plan, model_dir: Path, report: Report) -> list[Round]:
    """Measure all variants in turn, as many rounds as the plan says.

    Raises:
        ServerFailed, ChildFailed, NothingMeasured: with what went wrong; nothing is reported of half a run.
    """
    setup = Setup(model_dir, plan.predictor_flags, plan.transformer_flags)
    with tempfile.TemporaryDirectory(prefix="kserve-vision-bench-") as folder:
        report("pictures and servers")
        requests = write_requests(make_pictures(), load_model_directory(model_dir), MODEL, PIXELS, Path(folder))
        pictures = [str(path) for path in requests.pictures]
        with (
            Child() as generator,
            Child("bench.limit", [str(model_dir), *pictures]) as limit,
            running_pair(setup) as running,
            running_bare_grpc(model_dir) as bare,
            running_one_process(setup) as one,
        ):
            variants = [
                *limit_variants(limit, cpu_limit(), plan.seconds),
                *served_variants(generator, running, requests, plan.seconds, plan.clients),
                one_process_variant(generator, *one, requests, plan.seconds),
                bare_grpc_variant(generator, *bare, requests, plan.seconds),
            ]
            overload = partial(overload_variant, generator, running, requests, plan.seconds)
            fresh = FreshPair(setup, generator, requests.predict)
            rounds = [
                _round(f"round {number} of {plan.rounds}", variants, overload, fresh, report)
                for number in range(1, plan.rounds + 1)
            ]
        if plan.endurance:
            report(f"{plan.endurance} requests")
            with Child() as generator:
                endured = EndurancePair(setup, generator, requests.predict).endure(plan.endurance)
            rounds[-1] = rounds[-1].model_copy(update={"endurance": endured})
    return rounds


def _round(
    name: str, variants: list[Variant], overload: Callable[[float], Variant], fresh: FreshPair, report: Report
) -> Round:
    samples = {}

    def take(variant: Variant) -> None:
        report(f"{name}: {variant.name}")
        samples[variant.name] = variant.sample()

    for variant in variants:
        take(variant)
    saturated = samples.get(f"predict_{SATURATING}")
    if saturated is not None:
        take(overload(OVERLOAD * saturated.per_second))
    report(f"{name}: first_request")
    return Round(samples=samples, first_request=fresh.first_request())
