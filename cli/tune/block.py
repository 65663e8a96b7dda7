"""The sections of `model.yaml` that a candidate stands for, as people write them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import yaml

from cli.tune.candidates import Candidate
from predictor.arrangement import Arrangement
from serving.contract import Batching, Runtime

MARK: Final = "# Tuned on "
"""How the comment begins that says what a section was measured with; that of an earlier time is replaced."""

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Block:
    """What a candidate comes to in `model.yaml`."""

    batching: Values
    """The keys that differ from what a predictor chooses by itself on such a machine."""
    runtime: Values
    """The engine and its precision, where they were chosen too; empty where they are the contract's."""
    comment: str
    """One line, `# Tuned on ...`."""

    @property
    def text(self) -> str:
        """The sections as YAML."""
        sections = {"batching": self.batching, "runtime": self.runtime}
        lines = [
            line for name, values in sections.items() if values or name == "batching" for line in _lines(name, values)
        ]
        return "\n".join([self.comment, *lines]) + "\n"


def block_of(candidate: Candidate, said: Runtime, cpus: int, comment: str) -> Block:
    """Return what a candidate comes to; `said` is what the contract says of the engine."""
    batching = _without_choice(candidate, cpus).model_dump(mode="json", exclude_defaults=True)
    changed = candidate.runtime != said
    return Block(batching, candidate.runtime.model_dump(mode="json") if changed else {}, f"{MARK}{comment}")


def scalar(value: Any) -> str:
    """Return a value, or a short list, as YAML on one line."""
    whole = int(value) if isinstance(value, float) and value.is_integer() else value
    return yaml.safe_dump(whole, default_flow_style=True, width=10_000).replace("\n...", "").strip()


def _without_choice(candidate: Candidate, cpus: int) -> Batching:
    """Return the rules without the instances and threads that a predictor finds by itself, so that they follow the
    machine.
    """
    said, device = candidate.batching, candidate.device
    wanted = said.instances, said.threads
    for changes in ({"instances": None, "threads": None}, {"threads": None}, {"instances": None}):
        open_ = said.model_copy(update=changes)
        found = Arrangement(open_.instances, open_.threads, cpus)
        if (found.lanes(device), found.threads(device)) == wanted:
            return open_
    return said


def _lines(name: str, values: Values) -> list[str]:
    if not values:
        return [f"{name}: {{}}"]
    return [f"{name}:", *(f"  {key}: {scalar(value)}" for key, value in values.items())]
