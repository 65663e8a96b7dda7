"""Licences as people write them, and what some of them ask of who serves a model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

_KNOWN: Final[Sequence[tuple[str, str]]] = (
    (r"agpl|affero", "AGPL-3.0"),
    (r"lgpl|lesser general public", "LGPL-3.0"),
    (r"\bgpl|gnu general public", "GPL-3.0"),
    (r"cc[- ]?by[- ]?nc[- ]?nd", "CC-BY-NC-ND-4.0"),
    (r"cc[- ]?by[- ]?nc[- ]?sa", "CC-BY-NC-SA-4.0"),
    (r"cc[- ]?by[- ]?nc|noncommercial|non-commercial", "CC-BY-NC-4.0"),
    (r"cc[- ]?by[- ]?sa", "CC-BY-SA-4.0"),
    (r"cc[- ]?by(?![- ]?(nc|sa|nd))|attribution 4\.0", "CC-BY-4.0"),
    (r"cc0|public domain dedication", "CC0-1.0"),
    (r"apache", "Apache-2.0"),
    (r"bsd[- ]?2", "BSD-2-Clause"),
    (r"bsd", "BSD-3-Clause"),
    (r"openrail", "OpenRAIL"),
    (r"\bmpl|mozilla public", "MPL-2.0"),
    (r"\bmit\b", "MIT"),
)
_NETWORK: Final = "who serves the model over a network must offer its users the source of the whole service"
_DUTIES: Final[Sequence[tuple[str, str]]] = (
    ("AGPL", f"{_NETWORK}, or hold another licence from its makers"),
    ("GPL", "who passes the model on must pass on its source under the same terms"),
    ("NC", "it forbids commercial use"),
    ("OpenRAIL", "it forbids the uses that its attachment lists, and asks to pass that list on"),
    ("SA", "what is made of it must be passed on under the same terms"),
)
MAX_LICENCE: Final = 60


def spdx(text: str) -> str:
    """Return a licence's SPDX identifier; its own words, shortened, where it is none of those that are known."""
    lowered = text.strip().lower()[:4000]
    for pattern, identifier in _KNOWN:
        if re.search(pattern, lowered):
            return identifier
    return " ".join(text.split())[:MAX_LICENCE]


def duty(licence: str) -> str:
    """Say what a licence asks of who serves the model, or forbids; empty where it asks for no more than its notice."""
    parts = re.split(r"[-. ]", licence)
    for mark, sentence in _DUTIES:
        if mark in parts:
            return sentence
    return ""
