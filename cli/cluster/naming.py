"""Names of InferenceServices: KServe's rule, and how long they may be."""

from __future__ import annotations

import re
from typing import Final

PATTERN: Final = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
"""KServe's own, of its validating webhook."""
MAX_LABEL: Final = 63
"""Of a label of DNS, which names of Services are."""
SUFFIX: Final = len("-transformer")
"""What KServe makes of a name is a Service `NAME-predictor`, or `NAME-transformer`."""


class BadName(ValueError):
    """KServe, or DNS, does not take the name; the message proposes another."""


def check_name(name: str, namespace: str) -> None:
    """Make sure that KServe takes the name, and that what it makes of it fits into DNS.

    Raises:
        BadName: it does not.
    """
    if not PATTERN.fullmatch(name):
        proposed = proposal(name)
        raise BadName(
            f"{name!r} is no name for an InferenceService: KServe takes small letters, digits and hyphens, a letter "
            f"first and no hyphen last; for example --name {proposed}"
        )
    # The host of the default domain template, NAME-NAMESPACE, is one label; a Service's name is another.
    longest = MAX_LABEL - max(SUFFIX, 1 + len(namespace))
    if len(name) > longest:
        raise BadName(
            f"{name!r} has {len(name)} characters, of which {longest} fit: KServe makes of it the Service "
            f"NAME-predictor and the host NAME-{namespace}; for example --name {proposal(name, longest)}"
        )


def proposal(name: str, longest: int = MAX_LABEL - SUFFIX) -> str:
    """A name that KServe takes, as near to `name` as can be."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    if not plain or not plain[0].isalpha():
        plain = f"model-{plain}".strip("-")
    return plain[: max(1, longest)].rstrip("-")
