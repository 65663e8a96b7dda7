"""Prometheus' own engine, asked about series that a test invents."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from tools.cache import located

LIMIT_S: Final = 30.0


@dataclass(frozen=True)
class Series:
    """A series with a sample a minute: constant, or growing by `step`."""

    name: str
    labels: dict[str, str]
    start: float
    step: float = 0.0

    def __str__(self) -> str:
        labels = ",".join(f'{key}="{value}"' for key, value in self.labels.items())
        return f"{self.name}{{{labels}}} {self.start}+{self.step}x20"


def values_after_ten_minutes(series: Sequence[Series], queries: Sequence[str]) -> list[list[dict[str, Any]]]:
    """What each query is then: the labels and the value of each sample; nothing where an alert would not fire."""
    asked = {"series": [str(each) for each in series], "queries": list(queries)}
    done = subprocess.run(
        [located("prometheus-query")],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers: list[list[dict[str, Any]]] = json.loads(done.stdout)
    return answers
