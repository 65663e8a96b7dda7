"""Why a cluster did not do what it was asked, in sentences.

::

    ClusterFault
     ├── NoCluster     no kubeconfig, or an answer to nobody
 │    └── Unanswered   the API server is away, as it is while it is upgraded
     ├── NotAllowed    this user may not
     ├── NoSuchKind    the cluster does not know the kind: KServe is not installed, for example
     ├── Conflict      somebody else owns the field
     └── Refused       the API server, a webhook or a policy says no
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

NOT_THERE: Final = 404
_MAY_NOT: Final = re.compile(
    r'User "(?P<user>[^"]*)" cannot (?P<verb>\w+) resource "(?P<resource>[^"]+)" in API group "(?P<group>[^"]*)"'
    r'(?: in the namespace "(?P<namespace>[^"]*)")?'
)
_OWNED_BY: Final = re.compile(r'conflicts? with "([^"]+)"')
_NO_NAMESPACE: Final = re.compile(r'namespaces "([^"]+)" not found')
_WEBHOOK: Final = re.compile(r'admission webhook "([^"]+)" denied the request: ')
QUOTED: Final = 1000
"""Characters of a server's answer that are quoted."""
SHOWN: Final = 100
"""Of one that is no API server's."""


class ClusterFault(Exception):
    """The cluster did not do it; the message says why, and what to do."""


class NoCluster(ClusterFault):
    """There is no API server to ask, or it does not know who asks."""


class Unanswered(NoCluster):
    """The API server does not answer; later it may."""


class NotAllowed(ClusterFault):
    """The user may not do this; `verb` and `resource` are RBAC's."""

    def __init__(self, user: str, verb: str, resource: str, namespace: str) -> None:
        where = f"in namespace {namespace}" if namespace else "in the whole cluster"
        super().__init__(
            f"{user} may not {verb} {resource} {where}: ask for a role with the verb {verb!r} on {resource!r}"
        )
        self.verb = verb
        self.resource = resource


class NoSuchKind(ClusterFault):
    """The API server does not know a kind."""


class Conflict(ClusterFault):
    """Fields belong to somebody else's apply."""


class Refused(ClusterFault):
    """What was sent is not taken."""


def fault_of(status: int, body: bytes, verb: str, resource: str) -> ClusterFault:
    """Return what an answer of the API server that is no success means; `resource` is what was asked for."""
    message = _message(body)
    if status == 401:  # noqa: PLR2004  # HTTP's own number, as those below
        return NoCluster(
            "the API server does not know this user (401): the kubeconfig's token or certificate is wrong or has "
            "expired; log in again, or choose another with --context"
        )
    if status == 403 and (denied := _MAY_NOT.search(message)):  # noqa: PLR2004
        group = f".{denied['group']}" if denied["group"] else ""
        return NotAllowed(denied["user"], denied["verb"], f"{denied['resource']}{group}", denied["namespace"] or "")
    if status == NOT_THERE and (gone := _NO_NAMESPACE.search(message)):
        return Refused(f"there is no namespace {gone[1]}: create it, or choose another with --namespace")
    if status == NOT_THERE and ("could not find the requested resource" in message or "page not found" in message):
        return NoSuchKind(f"this cluster knows no {resource}{_installed_by(resource)}")
    if status == 409 and (owners := _OWNED_BY.findall(message)):  # noqa: PLR2004
        # By apply these fields are ours; that name, with an update, is who moves a canary.
        others = sorted({"kserve-vision canary" if each == "kserve-vision" else each for each in owners})
        return Conflict(
            f"{', '.join(others)} set other values of the same fields: {_fields(message)}; "
            "--force-conflicts takes the fields over"
        )
    return Refused(f"{_who(message)} refuses to {verb} {resource} ({status}): {_WEBHOOK.sub('', message)}")


def no_api_server(server: str, body: bytes) -> str:
    """What an answer of success means that no API server gives."""
    said = " ".join(body[:QUOTED].decode(errors="replace").split())
    return (
        f"{server} is no API server: it answers {said[:SHOWN]!r}; does a proxy want a login first, or is it the wrong "
        "--context?"
    )


def names_object(body: bytes) -> bool:
    """Whether an answer that nothing is there means an object of that name, and no unknown kind."""
    try:
        said: Any = json.loads(body)
    except ValueError:
        return False
    details = said.get("details") if isinstance(said, dict) else None
    return isinstance(details, dict) and bool(details.get("name"))


def _installed_by(resource: str) -> str:
    if "kserve.io" in resource:
        return ": KServe is not installed, or not its full CRDs"
    if "knative.dev" in resource:
        return ": Knative Serving is not installed"
    return ": the Gateway API is not installed" if "gateway.networking" in resource else ""


def _who(message: str) -> str:
    if webhook := _WEBHOOK.search(message):
        return "KServe's webhook" if "kserve" in webhook[1] else f"the webhook {webhook[1]}"
    return "an admission policy" if "ValidatingAdmissionPolicy" in message else "the API server"


def _fields(message: str) -> str:
    return ", ".join(re.findall(r"^- (\S+)$", message, re.MULTILINE)) or message.rpartition(": ")[2]


def _message(body: bytes) -> str:
    text = body.decode(errors="replace").strip()
    try:
        said: Any = json.loads(text)
    except ValueError:
        return text[:QUOTED]
    return str(said.get("message", text))[:QUOTED] if isinstance(said, dict) else text[:QUOTED]
