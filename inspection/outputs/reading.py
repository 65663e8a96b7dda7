"""What a recogniser of outputs sees, and what it says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from inspection.evidence import Dossier, Sure
from inspection.graph import Graph, Value

_PADDLE: Final = ("fetch_name_", "save_infer_model/", "tmp_")


@dataclass(frozen=True, slots=True)
class Scene:
    """The model, and what is known of it before its outputs are looked at."""

    graph: Graph
    dossier: Dossier
    size: tuple[int, int] | None
    """Height and width of the input, where they are known."""
    layout: str = "NCHW"

    @property
    def classes(self) -> int | None:
        """How many labels there are, or classes that the model says it has."""
        return self.dossier.classes

    @property
    def sure_classes(self) -> int | None:
        """How many classes the model itself says it has; a file of labels beside it may be another's."""
        labels = self.dossier.label_set
        return None if labels is not None and labels.file is not None else self.classes

    @property
    def outputs(self) -> tuple[Value, ...]:
        """The graph's outputs."""
        return self.graph.outputs

    @property
    def is_of_paddle(self) -> bool:
        """Whether the names are those that PaddlePaddle gives."""
        names = [value.name for value in self.outputs]
        return any(name.startswith(_PADDLE) or ".tmp_" in name for name in names)

    def of_rank(self, *ranks: int) -> list[Value]:
        """Return the outputs with one of the ranks."""
        return [value for value in self.outputs if value.rank in ranks]

    def tensor(self, value: Value) -> dict[str, Any]:
        """Return the key that names an output, where there are several."""
        return {} if len(self.outputs) == 1 else {"tensor": value.name}


@dataclass(frozen=True, slots=True)
class Reading:
    """A way to read the outputs: the task, the decoder and the keys that are not its defaults."""

    task: str
    decoder: str
    sure: Sure
    source: str
    output: Mapping[str, Any] = field(default_factory=dict)
    classes: int | None = None
    """How many labels fit it; None where any number does."""
    used: tuple[str, ...] = ()
    """The outputs that it reads."""
    meaning: str = ""
    """What it would mean, for whoever must choose."""
    asks: tuple[str, ...] = ()
    """Keys of `output` that nothing tells; those in `output` are guesses."""
    family: str = ""
    """Whose outputs they are, where their preprocessing is known by that."""
