"""What differs between the contracts of two versions, as far as it matters to who asks them or stands before them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rollout.difference import differences
from rollout.errors import NotPossible
from serving.contract import load_model_directory


@dataclass(frozen=True, slots=True)
class ContractFacts:
    """A version's contract, read from its model directory or from a server's `/info`."""

    digest: str
    """Over what a transformer and a predictor must agree on."""
    version: str
    """The model's, as it calls itself."""
    labels: int
    contract: Mapping[str, Any]
    """As JSON."""


Facts = tuple[ContractFacts | None, ContractFacts | None]
"""The stable version's and the candidate's; None where they are not known."""


def of_directory(path: Path) -> ContractFacts:
    """Read a local copy of a model directory.

    Raises:
        ContractInvalid: it is none.
    """
    directory = load_model_directory(path)
    contract = directory.contract
    return ContractFacts(
        directory.digest, contract.model.version, len(directory.labels), contract.model_dump(mode="json")
    )


def of_info(info: Any) -> ContractFacts:
    """Read what a server answered at `/info`.

    Raises:
        NotPossible: that is not what our servers answer.
    """
    try:
        contract = dict(info["contract"])
        digest = str(contract.pop("digest"))
        return ContractFacts(digest, str(info["model"]["version"]), int(info["labels"]), contract)
    except (KeyError, TypeError, ValueError) as error:
        raise NotPossible("what answers at /info is not kserve-vision's transformer") from error


def changes(stable: ContractFacts, candidate: ContractFacts) -> tuple[str, ...]:
    """Say what the candidate's answers may do to who reads them: task, labels, sizes; none where they agree."""
    if stable.digest == candidate.digest:
        return ()
    said = []
    if stable.labels != candidate.labels:
        said.append(f"labels: {stable.labels} -> {candidate.labels}")
    for section in ("task", "input", "output"):
        said += differences(stable.contract.get(section), candidate.contract.get(section), section)
    return tuple(said) or ("the labels",)


def check_separate(stable: ContractFacts | None, candidate: ContractFacts | None) -> None:
    """Refuse a canary behind a transformer in pods of its own, unless both contracts are known to agree: it decodes
    the answers of both versions by the rules of one.

    Raises:
        NotPossible: they differ, or are not known.
    """
    if stable is None or candidate is None:
        raise NotPossible(
            "the transformer has pods of its own, and reads the answers of both versions by the rules of one: say "
            "where copies of both model directories are, with --stable-dir and --candidate-dir, so that "
            "their contracts can be compared; nothing was written"
        )
    changed = changes(stable, candidate)
    if changed:
        raise NotPossible(
            "the contracts differ, and the transformer has pods of its own, which would read the candidate's "
            f"answers by the stable version's rules ({'; '.join(changed)}). With the transformer in the "
            "predictor's pod both change together; nothing was written"
        )
