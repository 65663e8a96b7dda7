"""Names: what Kubernetes takes, and what a candidate is called."""

from __future__ import annotations

import hashlib
import re
from typing import Final

from rollout.errors import NotPossible
from rollout.mode import Mode

NAME: Final = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
"""Of a Service; KServe's webhook takes no other for an InferenceService."""
MAX_LABEL: Final = 63
"""The most letters in the name of a Service, and in a label of a host (RFC 1123)."""
DIGEST_LETTERS: Final = 6
SHORTEST_MADE: Final = DIGEST_LETTERS + 2
"""A letter, a hyphen, and the digest."""


def hyphenated(text: str) -> str:
    """A text in the letters that names have; it may be empty, or begin with a digit."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def workload_name(service: str, version: str = "", component: str = "predictor") -> str:
    """What KServe calls the Deployment and Service, or the Knative Service, of a version; without one, the stable's."""
    return "-".join(filter(None, (service, version, component)))


def labels_of(  # noqa: PLR0913  # each is a part of a name, or says which are made
    service: str,
    namespace: str,
    mode: Mode,
    *,
    version: str = "",
    component: str = "predictor",
    tagged: bool = False,
) -> tuple[str, ...]:
    """What is made of an InferenceService's names and may have `MAX_LABEL` letters.

    In Standard mode that is the label `app` of KServe's pods, and the first part of its host. In Knative mode it is the
    Knative Service; where tag routing is on (`tagged`), Knative makes a Service and a host for the tag too.
    """
    workload = workload_name(service, version, component)
    if mode is Mode.STANDARD:
        return (f"isvc.{workload}", f"{workload}-{namespace}")
    return (f"latest-{workload}",) if tagged else (workload,)


def longest_service(namespace: str, mode: Mode, *, tagged: bool = False) -> int:
    """The most letters that the name of an InferenceService without a transformer of its own may have."""
    return _room(labels_of("s", namespace, mode, tagged=tagged))


def longest_name(service: str, namespace: str) -> int:
    """The most letters that a candidate's name may have in Standard mode."""
    return _room(labels_of(service, namespace, Mode.STANDARD, version="v"))


def check_tags(service: str, namespace: str, *components: str) -> None:
    """Make sure that tag routing can be switched on in Knative mode.

    Raises:
        NotPossible: Knative could not make the Service of the tag.
    """
    for component in components:
        (made,) = labels_of(service, namespace, Mode.KNATIVE, component=component, tagged=True)
        if len(made) > MAX_LABEL:
            raise NotPossible(
                f"the name {service} is too long for a canary: Knative makes {made} of it, which has {len(made)} "
                f"letters, and the name of a Service has {MAX_LABEL} at most; nothing was written"
            )


def _room(made: tuple[str, ...]) -> int:
    """The most letters of a name that has one letter in what is made of it."""
    return MAX_LABEL + 1 - max(map(len, made))


def name_for(uri: str, given: str, taken: str, longest: int = MAX_LABEL) -> str:
    """What a candidate is called: `given`, or made of the last part of its URI.

    Raises:
        NotPossible: `given` is no name of Kubernetes, or that of the stable version; or there is no room for one.
    """
    if longest < 1:
        raise NotPossible(
            "the names of the InferenceService and its namespace leave no letter for a candidate's: KServe makes of "
            f"them a label and a part of a host, which have {MAX_LABEL} at most; nothing was written"
        )
    if given:
        if not NAME.fullmatch(given):
            raise NotPossible(f"{given!r} is no name: lower-case letters, digits and -, and a letter first")
        if len(given) > longest:
            raise NotPossible(f"{given!r} is too long: {longest} letters are left for a version's name")
        if given == taken:
            raise NotPossible(f"the stable version is called {given} already: name the candidate otherwise")
        return given
    last = hyphenated(uri.rstrip("/").rpartition("/")[2])
    name = last if last[:1].isalpha() else f"v{last}"
    if len(name) <= longest and name != taken:
        return name
    digest = hashlib.sha256(uri.encode()).hexdigest()[:DIGEST_LETTERS]
    if longest < SHORTEST_MADE:
        raise NotPossible(
            f"{longest} letters are left for a version's name, too few to make one of the URI: give --version-name; "
            "nothing was written"
        )
    return f"{name[: longest - DIGEST_LETTERS - 1].rstrip('-')}-{digest}"
