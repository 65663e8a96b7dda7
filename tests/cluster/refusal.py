"""Who refused an object, told from what the API server says."""

from __future__ import annotations

import enum
import re
from typing import Final


class Refuser(enum.StrEnum):
    """The one that says no."""

    SCHEMA = "the schema"
    """The API server itself: an unknown field, a wrong type, a value out of the schema's range, a bad name."""
    KSERVE = "KServe's webhook"
    POLICY = "an admission policy"
    POD_SECURITY = "Pod Security"
    AUTHORIZATION = "RBAC"
    OTHER = "somebody else"


SIGNS: Final = (
    (re.compile(r"admission webhook \"[^\"]*kserve[^\"]*\" denied the request"), Refuser.KSERVE),
    (re.compile(r"ValidatingAdmissionPolicy '[^']*'"), Refuser.POLICY),
    (re.compile(r"violates PodSecurity"), Refuser.POD_SECURITY),
    (re.compile(r"User \"[^\"]*\" cannot "), Refuser.AUTHORIZATION),
    (
        re.compile(
            r"field not declared in schema|strict decoding error|is invalid: |failed to create typed|no matches for"
        ),
        Refuser.SCHEMA,
    ),
)


class Refused(Exception):
    """The cluster did not take an object; `message` is what its author would read."""

    def __init__(self, message: str, subject: str) -> None:
        super().__init__(f"{subject}: {message}")
        self.message = message
        self.by = next((refuser for sign, refuser in SIGNS if sign.search(message)), Refuser.OTHER)
