"""Names of InferenceServices: KServe's rule, and how long they may be."""

from __future__ import annotations

from typing import Final

from rollout.mode import Mode
from rollout.naming import MAX_LABEL, NAME, hyphenated, labels_of, longest_service

LONGEST: Final = min(longest_service("n", mode, tagged=True) for mode in Mode)
"""Of a name that is proposed while neither mode nor namespace are known; with it a canary can be had in each mode."""


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
    """Make sure that what is made of the name in this mode is not too long.

    Raises:
        BadName: it does not.
    """
    made = max(labels_of("NAME", namespace, mode), key=len)
    longest = longest_service(namespace, mode)
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
