"""`Objects` over the `kubernetes` client. The only module of the package that imports it."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import urllib3
from kubernetes.client import ApiClient
from kubernetes.client.exceptions import ApiException
from typing_extensions import override

from rollout.errors import AlreadyThere, ApiError, Conflict, Denied, Gone, Rejected, Unreachable
from rollout.kinds import Kind, Manifest
from rollout.objects import Objects, Operation

TIMEOUT_S: Final = 30.0
BUSY_TRIES: Final = 10
"""How often a server is asked that answers that it is busy."""
MAX_BUSY_S: Final = 5.0
MANAGER: Final = "kserve-vision"
STRICT: Final = {"fieldManager": MANAGER, "fieldValidation": "Strict"}

_ERRORS: Final[Mapping[int, type[ApiError]]] = {401: Denied, 403: Denied, 404: Gone}


class ApiObjects(Objects):
    """Objects through a client that knows the server and its user."""

    def __init__(self, client: ApiClient, headers: Mapping[str, str] | None = None) -> None:
        """Speak through `client`; `headers` go with each request, for example who it acts as."""
        self._client = client
        self._headers = dict(headers or {})

    @override
    def get(self, kind: Kind, namespace: str, name: str) -> Manifest | None:
        try:
            return self._ask("GET", kind.path(namespace, name))
        except Gone:
            return None

    @override
    def create(self, kind: Kind, manifest: Manifest) -> Manifest:
        return self._ask("POST", kind.path(manifest["metadata"]["namespace"]), STRICT, manifest)

    @override
    def patch(
        self, kind: Kind, namespace: str, name: str, operations: Sequence[Operation], *, dry_run: bool = False
    ) -> Manifest:
        query = STRICT | ({"dryRun": "All"} if dry_run else {})
        return self._ask("PATCH", kind.path(namespace, name), query, list(operations), "application/json-patch+json")

    @override
    def delete(self, kind: Kind, namespace: str, name: str, uid: str) -> None:
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": uid}}
        try:
            self._ask("DELETE", kind.path(namespace, name), body=body)
        except Gone:
            return

    def _ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: object = None,
        content_type: str = "application/json",
    ) -> Manifest:
        request = self._client.param_serialize(
            method,
            path,
            query_params=list((query or {}).items()),
            header_params={**self._headers, "Accept": "application/json", "Content-Type": content_type},
            body=body,
            auth_settings=["BearerToken"],
        )
        for _ in range(BUSY_TRIES):
            try:
                answer = self._client.call_api(*request, _request_timeout=TIMEOUT_S)
                content: bytes = answer.read()  # type: ignore[no-untyped-call]
            except ApiException as error:
                raise Unreachable(f"the API server gave no answer: {error.reason}") from error
            except urllib3.exceptions.HTTPError as error:
                raise Unreachable(f"the API server gave no answer: {error}") from error
            wait = str(answer.headers.get("Retry-After", ""))
            if not wait.isdecimal():
                return _checked(answer.status, content, method)
            time.sleep(min(float(wait), MAX_BUSY_S))
        raise Unreachable("the API server says that it is busy, again and again")


def _checked(status: int, content: bytes, method: str) -> Manifest:
    try:
        said: Any = json.loads(content)
    except ValueError:
        said = {}
    if status < 300 and isinstance(said, dict):  # noqa: PLR2004  # HTTP's border of what is well
        return said
    message = said.get("message", "") if isinstance(said, dict) else ""
    raise _error(status, method)(message or f"the API server answered with status {status}")


def _error(status: int, method: str) -> type[ApiError]:
    if status == 409:  # noqa: PLR2004  # two things to HTTP's one
        return AlreadyThere if method == "POST" else Conflict
    if status >= 500 or status == 429:  # noqa: PLR2004  # it may answer later
        return Unreachable
    return _ERRORS.get(status, Rejected)
