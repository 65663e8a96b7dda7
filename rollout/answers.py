"""What an answer of the API server that is no success means, in sentences. Pure."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from rollout.errors import AlreadyThere, ApiError, Conflict, Denied, Gone, NoCluster, NoSuchKind, Rejected, Unreachable

_MAY_NOT: Final = re.compile(
    r'User "(?P<user>[^"]*)" cannot (?P<verb>\w+) resource "(?P<resource>[^"]+)" in API group "(?P<group>[^"]*)"'
    r'(?: in the namespace "(?P<namespace>[^"]*)")?'
)
_OWNED_BY: Final = re.compile(r'conflicts? with "([^"]+)"')
_NO_NAMESPACE: Final = re.compile(r'namespaces "([^"]+)" not found')
_NO_KIND: Final = ("could not find the requested resource", "page not found")
_WEBHOOK: Final = re.compile(r'admission webhook "([^"]+)" denied the request: ')
_VERBS: Final = {"GET": "get", "PATCH": "patch", "DELETE": "delete", "POST": "create"}
QUOTED: Final = 1000
"""Characters of a server's answer that are quoted."""
SHOWN: Final = 100
"""Of one that is no API server's."""


def error_of(status: int, body: bytes, method: str, resource: str) -> ApiError:
    """Return what an answer means that is no success; `resource` is what was asked for, as `deployments.apps demo`."""
    message, verb = _message(body), _VERBS[method]
    refuses = f"{_who(message)} refuses to {verb} {resource} ({status}): {_WEBHOOK.sub('', message)}"
    error: ApiError = Rejected(refuses)
    match status:
        case 401:
            error = NoCluster(
                "the API server does not know this user (401): the kubeconfig's token or certificate is wrong or has "
                "expired; log in again, or choose another with --context"
            )
        case 403:
            error = _forbidden(message) or (Denied(refuses) if method == "GET" else error)
        case 404:
            error = _not_found(body, message, resource) or error
        case 409:
            error = _owned(message) or (AlreadyThere(refuses) if method == "POST" else Conflict(refuses))
        case _ if status == 429 or status >= 500:  # noqa: PLR2004  # HTTP's own numbers: it may answer later
            error = Unreachable(f"the API server cannot {verb} {resource} now ({status}): {message}")
    return error


def no_api_server(server: str, status: int, body: bytes) -> NoCluster:
    """What an answer means that no API server gives."""
    said = " ".join(body[:QUOTED].decode(errors="replace").split())
    answers = f"{said[:SHOWN]!r}" if said else f"with status {status} and nothing else"
    return NoCluster(
        f"{server} is no API server: it answers {answers}; does a proxy want a login first, or is it the wrong "
        "--context?"
    )


def _forbidden(message: str) -> Denied | None:
    denied = _MAY_NOT.search(message)
    if denied is None:
        return None
    user, verb, resource, group, namespace = denied.group("user", "verb", "resource", "group", "namespace")
    resource = f"{resource}.{group}".rstrip(".")
    where = f"in namespace {namespace}" if namespace else "in the whole cluster"
    return Denied(f"{user} may not {verb} {resource} {where}: ask for a role with the verb {verb!r} on {resource!r}")


def _owned(message: str) -> Conflict | None:
    owners = _OWNED_BY.findall(message)
    if not owners:
        return None
    # By apply these fields are ours; that name, with an update, is who moves a canary.
    others = sorted({"kserve-vision canary" if each == "kserve-vision" else each for each in owners})
    return Conflict(
        f"{', '.join(others)} set other values of the same fields: {_fields(message)}; "
        "--force-conflicts takes the fields over"
    )


def _not_found(body: bytes, message: str, resource: str) -> ApiError | None:
    if gone := _NO_NAMESPACE.search(message):
        return Rejected(f"there is no namespace {gone[1]}: create it, or choose another with --namespace")
    if _names_object(body):
        return Gone(message)
    if any(each in message for each in _NO_KIND):
        kind, _, _ = resource.partition(" ")
        return NoSuchKind(f"this cluster knows no {kind}{_installed_by(kind)}")
    return None


def _names_object(body: bytes) -> bool:
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
