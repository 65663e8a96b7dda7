"""What is known of a model, how surely, and from what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final


class Sure(StrEnum):
    """How a value came to be known, the surest first."""

    GIVEN = "given"
    """said by the user"""
    FOUND = "found"
    """written in the file, or in one beside it"""
    DERIVED = "derived"
    """follows from shapes, names and nodes"""
    GUESSED = "guessed"
    """the usual one of such models"""
    OPEN = "open"
    """a guess that is likely wrong, and whose error no one would see but in the answers"""


RANK: Final = {sure: rank for rank, sure in enumerate(Sure)}


@dataclass(frozen=True, slots=True)
class Finding:
    """One value of one key of the contract, and where it comes from.

    `key` is dotted, as `input.color`; `input.resize` and `input.normalize` are found as a whole. `source` is a part of
    a sentence: "`imgsz` in the file's metadata".
    """

    key: str
    value: Any
    sure: Sure
    source: str


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What a key comes to: the surest finding, and those that say something else as surely as a file can."""

    finding: Finding
    conflicts: tuple[Finding, ...] = ()


Labels = Mapping[int, str]
"""From class ids to labels; ids may have gaps."""


@dataclass(frozen=True, slots=True)
class LabelSet:
    """Labels, and where they stand. `file` is their name beside the model, where a contract may name it as it is."""

    labels: Labels
    source: str
    file: str | None = None
    is_given: bool = False
    """Whether the user named them."""

    @property
    def size(self) -> int:
        """The number of classes that they count to, gaps included."""
        return max(self.labels, default=-1) + 1


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one reader found."""

    findings: tuple[Finding, ...] = ()
    labels: tuple[LabelSet, ...] = ()
    family: str = ""
    """Whose export it is: `ultralytics`, `yolov5`, `hugging_face`, `timm`, `paddle_detection`, ..."""
    architecture: str = ""
    """The network's class or name, as its makers write it: `DetrForObjectDetection`."""
    classes: int | None = None
    """How many classes it says that it has."""
    notes: tuple[str, ...] = ()
    """Sentences of what was seen and cannot be used."""


@dataclass(slots=True)
class Dossier:
    """All evidence, in the order of the readers, with the labels that were chosen from it."""

    evidence: list[Evidence] = field(default_factory=list)
    label_set: LabelSet | None = None

    @property
    def families(self) -> tuple[str, ...]:
        """Whose exports the readers take it for."""
        return tuple(each.family for each in self.evidence if each.family)

    @property
    def architecture(self) -> str:
        """The network's class or name, or nothing."""
        return next((each.architecture for each in self.evidence if each.architecture), "")

    @property
    def classes(self) -> int | None:
        """How many classes the model says that it has, where it does."""
        said = next((each.classes for each in self.evidence if each.classes), None)
        return said or (len(self.label_set.labels) if self.label_set else None)

    def find(self, key: str) -> Finding | None:
        """Return the surest finding of a key so far; of equals, the first reader's."""
        found = self.all(key)
        return min(found, key=lambda finding: RANK[finding.sure]) if found else None

    def all(self, key: str) -> list[Finding]:
        """Return what was found of a key, in the order of the readers."""
        return [finding for each in self.evidence for finding in each.findings if finding.key == key]

    def add(self, *findings: Finding, family: str = "", notes: tuple[str, ...] = ()) -> None:
        """Take in what follows from the rest."""
        self.evidence.append(Evidence(findings=findings, family=family, notes=notes))

    def conclude(self, key: str) -> Conclusion | None:
        """Return what a key comes to, and what contradicts it. A guess contradicts nothing."""
        best = self.find(key)
        if best is None:
            return None
        others = [f for f in self.all(key) if f.value != best.value and f.sure in (Sure.FOUND, Sure.DERIVED)]
        return Conclusion(best, () if best.sure is Sure.GIVEN else tuple(others))
