"""One run: the children, the pair, and the rounds."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, PositiveFloat, PositiveInt

from bench.children import Child
from bench.pictures import make_pictures
from bench.requests import write_requests
from bench.rounds import CLIENTS, Round, Variant, limit_variants, served_variants
from bench.servers import MODEL, FreshPair, Setup, running_pair
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
    predictor_flags: tuple[str, ...] = ()
    transformer_flags: tuple[str, ...] = ()

    @property
    def steps(self) -> int:
        """How often `Report` is called."""
        return 1 + self.rounds * (1 + 5 + 4 + len(self.clients))


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
            Child("bench.load") as generator,
            Child("bench.limit", [str(model_dir), *pictures]) as limit,
            running_pair(setup) as running,
        ):
            variants = [
                *limit_variants(limit, cpu_limit(), plan.seconds),
                *served_variants(generator, running, requests, plan.seconds, plan.clients),
            ]
            fresh = FreshPair(setup, generator, requests.predict)
            return [
                _round(f"round {number} of {plan.rounds}", variants, fresh, report)
                for number in range(1, plan.rounds + 1)
            ]


def _round(name: str, variants: list[Variant], fresh: FreshPair, report: Report) -> Round:
    samples = {}
    for variant in variants:
        report(f"{name}: {variant.name}")
        samples[variant.name] = variant.sample()
    report(f"{name}: first_request")
    return Round(samples=samples, first_request=fresh.first_request())
