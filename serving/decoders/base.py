"""What a decoder is: from the outputs of one export convention to the form that its task answers from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Generic, TypeVar

from typing_extensions import override

from serving.decoders.ops import Ops, Shape, V
from serving.errors import ContractInvalid
from serving.section import Section

FINITE: Final = "finite"
"""The reduced output that tells of each picture, and each output of the model, whether all of its numbers are finite:
BOOL [n, outputs]."""

Sizes = Sequence[int | str | None]
"""A shape as a decoder expects it: a letter stands for any size, and for the same one wherever it stands. No size is 0,
but those of `COUNTS`."""
COUNTS: Final = frozenset({"n", "N", "M", "K", "queries"})
"""Letters that stand for how many were found, and of which there may be none."""


@dataclass(frozen=True, slots=True)
class Reduced:
    """A reduced output: its V2 datatype, and its shape, in which a letter means the same in all outputs together."""

    datatype: str
    shape: Sizes


class OutputRules(Section):
    """How the model's output becomes an answer."""

    adjustable: ClassVar[frozenset[str]] = frozenset()
    """Keys that the digest leaves out: they change the answer, and not how the tensors are read."""

    decoder: str
    """What the numbers mean, by one of the names that the task knows."""

    def check_labels(self, labels: Sequence[str]) -> None:
        """Raise `ContractInvalid` where a rule speaks of a label that there is not."""


R = TypeVar("R", bound=OutputRules)


class Decoder(ABC, Generic[R]):
    """A convention of outputs, bound to the rules of one contract. It holds no state.

    `size` is the height and width of the model's input, None where they follow the picture. `labels` is how many the
    contract has, 0 for none.
    """

    rules_type: ClassVar[type[OutputRules]]
    """The keys of `output` in a contract with this decoder."""
    reduced: ClassVar[Mapping[str, Reduced]]
    """The outputs of `read`. Where a predictor offers all of these, its graph has read them."""
    batched: ClassVar[bool] = True
    """Whether the model's outputs have the batch as their first axis. If not, pictures go through one by one."""

    def __init__(self, rules: R, size: tuple[int, int] | None, labels: int) -> None:
        self.rules = rules
        self.size = size
        self.labels = labels

    @abstractmethod
    def tensors(self) -> Mapping[str, str | None]:
        """Return the outputs that are read: their part here, and their name in the graph; None for a graph's only
        output.
        """

    @abstractmethod
    def check(self, shapes: Mapping[str, Shape]) -> None:
        """Hold the shapes of the outputs, by their part, against what the convention expects.

        Raises:
            ContractInvalid: they do not fit, or have another number of classes than there are labels.
        """

    @abstractmethod
    def read(self, ops: Ops[V], outputs: Mapping[str, V]) -> dict[str, V]:
        """Turn the outputs, by their part, into those of `reduced`. Every number in them is finite."""

    def pays(self, shapes: Mapping[str, Shape]) -> bool:  # noqa: ARG002  # for those that say no
        """Whether reading in the graph costs less than to send what the model gives, and to read it elsewhere."""
        return True

    def bind(self, outputs: Mapping[str, Shape | None]) -> dict[str, str]:
        """Find the graph's outputs, each with its shape (None where not even its rank is known).

        Return the name of each part's output.

        Raises:
            ContractInvalid: one is not there, or as `check` does.
        """
        there = ", ".join(map(repr, outputs)) or "(none)"
        names: dict[str, str] = {}
        for part, name in self.tensors().items():
            key = "tensor" if part == TENSOR else part
            if name is None and len(outputs) != 1:
                raise ContractInvalid(f"the graph has the outputs {there}: output.{key} must name one of them")
            if name is not None and name not in outputs:
                raise ContractInvalid(f"output.{key} is {name!r}; the graph has the outputs {there}")
            names[part] = next(iter(outputs)) if name is None else name
        shapes = {part: outputs[name] for part, name in names.items()}
        if None not in shapes.values():
            self.check({part: shape for part, shape in shapes.items() if shape is not None})
        return names

    def expect(self, part: str, shape: Shape, *wanted: Sizes) -> dict[str, int | None]:
        """Hold a shape against those that fit; return the sizes that stand for the letters of the first that does.

        Raises:
            ContractInvalid: none does.
        """
        for sizes in wanted:
            letters = match_sizes(shape, sizes)
            if letters is not None:
                return letters
        name = self.tensors()[part]
        which = f"output {name!r}" if name else "output"
        forms = " or ".join(_text(sizes) for sizes in wanted)
        raise ContractInvalid(
            f"output.decoder {self.rules.decoder!r} reads {forms}; the graph's {which} has {_text(shape)}"
        )

    def check_classes(self, classes: int | None) -> None:
        """Hold the number of classes against that of the labels.

        Raises:
            ContractInvalid: they differ.
        """
        if self.labels and classes not in (None, self.labels):
            raise ContractInvalid(f"the contract has {self.labels} labels; the graph's output has {classes} classes")

    def check_columns(self, columns: int | None, others: int) -> None:
        """Hold the classes among the columns, of which `others` are none, against the labels.

        Raises:
            ContractInvalid: none is left, or they differ from the labels.
        """
        if columns is not None and columns <= others:
            raise ContractInvalid(
                f"output.decoder {self.rules.decoder!r} reads {others} numbers and one for each class; the graph's "
                f"output has {columns}"
            )
        self.check_classes(None if columns is None else columns - others)


TENSOR: Final = "tensor"
"""The part of the only output that a decoder reads."""


class OneTensorRules(OutputRules):
    """The rules of a decoder that reads one output."""

    tensor: str | None = None
    """The name of the graph's output. Needed only where the graph has several."""


S = TypeVar("S", bound=OneTensorRules)


class OneTensor(Decoder[S]):
    """A decoder that reads one output."""

    @override
    def tensors(self) -> Mapping[str, str | None]:
        return {TENSOR: self.rules.tensor}


def match_sizes(
    shape: Shape, sizes: Sizes, known: Mapping[str, int | None] | None = None
) -> dict[str, int | None] | None:
    """Return the sizes that stand for the letters, with those that are `known`; None where the shape is another."""
    if len(shape) != len(sizes):
        return None
    letters = dict(known or {})
    for found, wanted in zip(shape, sizes, strict=True):
        if isinstance(wanted, str):
            if letters.get(wanted) is not None and found not in (None, letters[wanted]):
                return None
            if found == 0 and wanted not in COUNTS:
                return None
            letters[wanted] = letters.get(wanted) or found
        elif wanted is not None and found not in (None, wanted):
            return None
    return letters


def _text(sizes: Sequence[Any]) -> str:
    return f"[{', '.join('?' if size is None else str(size) for size in sizes)}]"
