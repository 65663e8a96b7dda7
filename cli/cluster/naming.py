"""Names of InferenceServices: KServe's rule, and how long they may be."""

from __future__ import annotations

from typing import Final

from rollout.mode import Mode
from rollout.naming import MAX_LABEL, NAME, hyphenated

MADE_OF_IT: Final = {
    Mode.STANDARD: ("NAME-predictor-{namespace}",),
    Mode.KNATIVE: ("NAME-predictor-00001", "NAME-{namespace}"),
}
"""The longest labels that KServe, with its default domain template, and Knative make of a name: of a host, and of a
revision."""
LONGEST: Final = MAX_LABEL - len("-predictor-a")
"""Of any name."""


class BadName(ValueError):
    """KServe, or DNS, does not take the name; the message proposes another."""


def check_form(name: str) -> None:
    """Make sure that KServe takes the name, as far as its letters go.

    Raises:
        BadName: it does not.
    """
    if not NAME.fullmatch(name):
        proposed = proposal(name)
        raise BadName(
            f"{name!r} is no name for an InferenceService: KServe takes small letters, digits and hyphens, a letter "
            f"first and no hyphen last; for example --name {proposed}"
        )


def check_length(name: str, namespace: str, mode: Mode) -> None:
    """Make sure that what is made of the name in this mode fits into DNS.

    Raises:
        BadName: it does not.
    """
    made = max((each.format(namespace=namespace) for each in MADE_OF_IT[mode]), key=len)
    longest = MAX_LABEL - len(made.removeprefix("NAME"))
    if longest < 1:
        raise BadName(f"no name fits into the namespace {namespace}: {made} has {MAX_LABEL} characters at most")
    if len(name) > longest:
        raise BadName(
            f"{name!r} has {len(name)} characters, of which {longest} fit: what is made of it in {mode.spelled} mode, "
            f"{made}, has {MAX_LABEL} at most; for example --name {proposal(name, longest)}"
        )


def proposal(name: str, longest: int = LONGEST) -> str:
    """A name that KServe takes, as near to `name` as can be."""
    plain = hyphenated(name)
    if not plain or not plain[0].isalpha():
        plain = f"model-{plain}".strip("-")
    return plain[: max(1, longest)].rstrip("-")
