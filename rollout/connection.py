"""The API server, through the official client: the one module that speaks with it.

Objects go in and out as they are, as dictionaries: the kinds of KServe have no classes in that client.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode

import urllib3
from kubernetes import client
from kubernetes.client.exceptions import ApiException
from kubernetes.stream import portforward
from typing_extensions import override
from urllib3.exceptions import HTTPError, MaxRetryError, ReadTimeoutError

from rollout.answers import error_of, no_api_server
from rollout.errors import Gone, Rejected, Unreachable
from rollout.kinds import Kind, Manifest
from rollout.objects import Objects, Operation

Headers = Sequence[tuple[str, str]]
"""Names may come several times, as those of groups do."""

MANAGER: Final = "kserve-vision"
WRITING: Final = {"fieldManager": MANAGER, "fieldValidation": "Strict"}
CONNECT_S: Final = 5.0
READ_S: Final = 30.0
BUSY_TRIES: Final = 10
"""How often a server is asked that answers that it is busy."""
MAX_BUSY_S: Final = 5.0
_WELL: Final = range(200, 300)
_ELSEWHERE: Final = range(300, 400)
"""HTTP's numbers; an API server sends nobody elsewhere."""
_TOO_MANY: Final = 429
_FAILS: Final = 500
"""The one, and the first of those, after which a server may be asked again, where it says when."""


@dataclass(frozen=True, slots=True)
class _Request:
    """What is asked of the API server."""

    method: str
    path: str
    resource: str
    """What it is of, for a sentence: `deployments.apps demo`."""
    query: Mapping[str, str] = field(default_factory=dict)
    """What is empty is left out."""
    body: object = None
    """JSON's values; None where nothing is sent."""
    content_type: str = "application/json"

    @property
    def address(self) -> str:
        """The path and the query."""
        given = {key: value for key, value in self.query.items() if value}
        return f"{self.path}?{urlencode(given)}" if given else self.path


class Connection(Objects):
    """An API server, as the user of a kubeconfig or of a pod sees it."""

    def __init__(self, api: client.ApiClient, namespace: str = "default", acts_as: Headers = ()) -> None:
        """Speak through `api`; `namespace` is that of who names none, `acts_as` goes with each request."""
        self.namespace = namespace
        self._api = api
        self._acts_as = acts_as

    @property
    def server(self) -> str:
        """The API server's address."""
        return str(self._api.configuration.host)

    @override
    def get(self, kind: Kind, namespace: str, name: str) -> Manifest | None:
        try:
            return self._object(_Request("GET", kind.path(namespace, name), f"{kind.resource} {name}"))
        except Gone:
            return None

    @override
    def create(self, kind: Kind, manifest: Manifest) -> Manifest:
        path = kind.path(manifest["metadata"]["namespace"])
        return self._object(_Request("POST", path, kind.resource, WRITING, manifest))

    @override
    def patch(
        self, kind: Kind, namespace: str, name: str, operations: Sequence[Operation], *, dry_run: bool = False
    ) -> Manifest:
        path, resource = kind.path(namespace, name), f"{kind.resource} {name}"
        query = WRITING | _kept(dry_run=dry_run)
        return self._object(_Request("PATCH", path, resource, query, list(operations), "application/json-patch+json"))

    @override
    def delete(self, kind: Kind, namespace: str, name: str, uid: str, version: str = "") -> None:
        expected = {"uid": uid} | ({"resourceVersion": version} if version else {})
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": expected}
        try:
            self._ask(_Request("DELETE", kind.path(namespace, name), f"{kind.resource} {name}", body=body))
        except Gone:
            return

    def apply(self, kind: Kind, manifest: Manifest, *, force: bool = False, dry_run: bool = False) -> Manifest:
        """Apply on the server's side, with strict field validation; return the object as it is kept.

        Raises:
            Conflict: fields are somebody else's, and it is not forced.
            ApiError: it is not taken.
        """
        metadata = manifest["metadata"]
        query = WRITING | {"force": str(force).lower()} | _kept(dry_run=dry_run)
        path = kind.path(metadata.get("namespace") or self.namespace, metadata["name"])
        resource = f"{kind.resource} {metadata['name']}"
        return self._object(_Request("PATCH", path, resource, query, manifest, "application/apply-patch+yaml"))

    def objects(
        self, kind: Kind, namespace: str | None = None, *, labels: str = "", fields: str = ""
    ) -> list[Manifest]:
        """The objects of a kind in the user's namespace or another, those with these labels and fields; "" as
        namespace means all namespaces.

        Raises:
            NoSuchKind: the API server does not know the kind.
            ApiError: they cannot be read.
        """
        path = kind.path(self.namespace if namespace is None else namespace)
        body = self._ask(_Request("GET", path, kind.resource, {"labelSelector": labels, "fieldSelector": fields}))
        items = self._read(body).get("items")
        if not isinstance(items, list):
            raise no_api_server(self.server, 200, body)
        return items

    def document(self, path: str) -> Manifest:
        """What is at a path where every API server has something.

        Raises:
            ApiError: it cannot be read.
        """
        return self._read(self._ask(_Request("GET", path, path)))

    def answer(self, path: str, timeout_s: float) -> tuple[int, bytes]:
        """What is answered at a path, whatever it is, asked once: the status and the body.

        Raises:
            Unreachable: nobody answers in time.
        """
        answer = self._send(_Request("GET", path, path), timeout_s)
        return answer.status, answer.data

    def lines(self, path: str, resource: str, query: Mapping[str, str]) -> Iterator[str]:
        """The lines at a path as they come, until the server ends them.

        Raises:
            Unreachable: the server broke off.
            ApiError: they cannot be read.
        """
        answer = self._open(_Request("GET", path, resource, query), timeout_s=None)
        try:
            if answer.status not in _WELL:
                _hurry(answer)
                raise error_of(answer.status, answer.data, "GET", resource)
            rest = b""
            for part in answer.stream(amt=None):
                *whole, rest = (rest + part).split(b"\n")
                yield from (each.decode(errors="replace") for each in whole)
            if rest:
                yield rest.decode(errors="replace")
        except HTTPError as error:
            raise Unreachable(f"{self.server} ended its answer: {error}") from error
        finally:
            answer.release_conn()

    def open_port(self, namespace: str, pod: str, port: int) -> Any:
        """A socket that leads to a pod's port, through the API server.

        Raises:
            Rejected: the API server does not open it.
        """
        if self._acts_as:  # the client forwards with the rights of who acts
            raise Rejected("the kubeconfig acts as another user (`as`), for whom no port is forwarded: give --address")
        ask = client.CoreV1Api(self._api).connect_get_namespaced_pod_portforward
        try:
            return portforward(ask, pod, namespace, ports=str(port)).socket(port)
        except ApiException as error:
            raise Rejected(f"port {port} of pod {pod} cannot be forwarded: {error.reason}") from error

    def _object(self, request: _Request) -> Manifest:
        """The object that is answered."""
        answer = self._ask(request)
        found = self._read(answer)
        if not isinstance(found.get("metadata"), dict):
            raise no_api_server(self.server, 200, answer)
        return found

    def _read(self, body: bytes) -> Manifest:
        """The JSON that an answer of success is, as every one of an API server."""
        try:
            found = json.loads(body)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise no_api_server(self.server, 200, body)
        return found

    def _ask(self, request: _Request) -> bytes:
        """The body of an answer of success."""
        answer = self._send_until_taken(request)
        if answer.status in _WELL:
            return answer.data
        if answer.status in _ELSEWHERE:
            raise no_api_server(self.server, answer.status, answer.data)
        raise error_of(answer.status, answer.data, request.method, request.resource)

    def _send_until_taken(self, request: _Request) -> urllib3.BaseHTTPResponse:
        """Ask, and ask again while the server says that it is busy, as every client of Kubernetes does."""
        for _ in range(BUSY_TRIES):
            answer = self._send(request, READ_S)
            wait = answer.headers.get("Retry-After", "")
            if not wait.isdecimal() or not (answer.status == _TOO_MANY or answer.status >= _FAILS):
                return answer
            time.sleep(min(float(wait), MAX_BUSY_S))
        raise Unreachable(f"{self.server} says that it is busy, again and again ({answer.status}): try later")

    def _send(self, request: _Request, timeout_s: float) -> urllib3.BaseHTTPResponse:
        """The answer, which has been read."""
        answer = self._open(request, timeout_s)
        try:
            _ = answer.data
        except HTTPError as error:
            raise Unreachable(f"{self.server} ended its answer: {error}") from error
        finally:
            answer.release_conn()
        return answer

    def _open(self, request: _Request, timeout_s: float | None) -> urllib3.BaseHTTPResponse:
        """The answer, which is to be read; `timeout_s` is between two parts of it."""
        given = {"Accept": "application/json, */*"}
        if request.body is not None:
            given["Content-Type"] = request.content_type
        _, url, made, _, _ = self._api.param_serialize(
            request.method, request.address, header_params=given, auth_settings=["BearerToken"]
        )
        headers = urllib3.HTTPHeaderDict(made)
        for name, value in self._acts_as:
            headers.add(name, value)
        try:
            answer: urllib3.BaseHTTPResponse = self._api.rest_client.pool_manager.request(
                request.method,
                url,
                body=None if request.body is None else json.dumps(request.body),
                headers=headers,
                timeout=urllib3.Timeout(connect=CONNECT_S, read=timeout_s),
                preload_content=False,
                retries=False,
            )
        except HTTPError as error:
            raise Unreachable(_unreachable(self.server, error)) from error
        return answer


def _hurry(answer: urllib3.BaseHTTPResponse) -> None:
    """Wait no longer for the rest of an answer than for that of others."""
    socket = getattr(answer.connection, "sock", None)
    if socket is not None:
        socket.settimeout(READ_S)


def _kept(*, dry_run: bool) -> dict[str, str]:
    return {"dryRun": "All"} if dry_run else {}


def _unreachable(server: str, error: HTTPError) -> str:
    reason = error.reason if isinstance(error, MaxRetryError) else error
    said = str(reason).rpartition(": ")[2] or str(reason)
    if isinstance(error, ReadTimeoutError):
        return f"the API server {server} did not answer in time"
    if "CERTIFICATE_VERIFY_FAILED" in str(reason):
        return (
            f"the API server {server} shows a certificate that the kubeconfig's certificate-authority did not sign "
            f"({said}): is it the kubeconfig of this cluster?"
        )
    return f"the API server {server} does not answer ({said}): is the cluster up, and is it the right --context?"
