"""The API server, through the official client: the only module that knows it.

Objects go in and out as they are, as dictionaries: the kinds of KServe have no classes in that client.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import urllib3
import yaml
from kubernetes import client, config
from kubernetes.config import kube_config
from urllib3.exceptions import HTTPError, MaxRetryError, ReadTimeoutError

from cli.cluster.faults import NOT_THERE, NoCluster, Unanswered, fault_of, names_object, no_api_server
from cli.cluster.kinds import Kind, Manifest

FIELD_MANAGER: Final = "kserve-vision"
CONNECT_S: Final = 5.0
READ_S: Final = 30.0
BUSY_TRIES: Final = 20
"""How often a server is asked that answers that it is busy."""
MAX_BUSY_S: Final = 5.0
_VERBS: Final = {"GET": "get", "PATCH": "patch", "DELETE": "delete", "POST": "create"}


@dataclass(frozen=True, slots=True)
class Target:
    """Which cluster is meant, as the options say it; None is what the kubeconfig says."""

    kubeconfig: Path | None = None
    context: str | None = None
    namespace: str | None = None


class Connection:
    """An API server, as the user of a kubeconfig sees it."""

    def __init__(self, api: client.ApiClient, namespace: str, headers: Sequence[tuple[str, str]]) -> None:
        """Speak through `api`; `namespace` is for all that names none, `headers` go with each request."""
        self.api = api
        self.namespace = namespace
        self._headers = headers

    @property
    def server(self) -> str:
        """The API server's address."""
        return str(self.api.configuration.host)

    @property
    def headers(self) -> Mapping[str, str]:
        """What goes with each request: whom the user acts as; of several groups, the last."""
        return dict(self._headers)

    @property
    def acts_as_another(self) -> bool:
        """Whether the kubeconfig's user acts as another."""
        return bool(self._headers)

    def get(self, kind: Kind, name: str, namespace: str | None = None) -> Manifest | None:
        """An object, or None where there is none of that name.

        Raises:
            ClusterFault: it cannot be read, or the cluster does not know the kind.
        """
        return self.read(kind.path(self._in(namespace), name), kind.resource)

    def objects(
        self, kind: Kind, namespace: str | None = None, *, labels: str = "", fields: str = ""
    ) -> list[Manifest]:
        """The objects of a kind, those with these labels and fields; "" as namespace means all namespaces.

        Raises:
            ClusterFault: they cannot be read, or the cluster does not know the kind.
        """
        query = {"labelSelector": labels, "fieldSelector": fields}
        body = self._ask("GET", kind.path(self._in(namespace)), kind.resource, query)
        items = self._object(body).get("items")
        if not isinstance(items, list):
            raise NoCluster(no_api_server(self.server, body))
        return items

    def document(self, path: str) -> Manifest:
        """What is at a path where every API server has something.

        Raises:
            ClusterFault: it cannot be read.
        """
        return self._object(self._ask("GET", path, path))

    def read(self, path: str, resource: str = "") -> Manifest | None:
        """What is at a path, or None where the server says that there is no such object.

        Raises:
            ClusterFault: it cannot be read.
        """
        status, body = self._send("GET", path)
        if status == NOT_THERE and names_object(body):
            return None
        return self._object(_checked(status, body, "GET", resource or path))

    def apply(self, kind: Kind, manifest: Manifest, *, force: bool = False, dry_run: bool = False) -> Manifest:
        """Apply on the server's side, with strict field validation; return the object as it is kept.

        Raises:
            ClusterFault: it is not taken.
        """
        metadata = manifest["metadata"]
        query = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict", "force": str(force).lower()}
        query |= {"dryRun": "All"} if dry_run else {}
        path = kind.path(metadata.get("namespace") or self.namespace, metadata["name"])
        resource = f"{kind.resource} {metadata['name']}"
        return self._object(self._ask("PATCH", path, resource, query, json.dumps(manifest)))

    def delete(self, kind: Kind, name: str) -> None:
        """Delete an object, and what belongs to it.

        Raises:
            ClusterFault: it is not there, or may not be deleted.
        """
        self._ask("DELETE", kind.path(self.namespace, name), f"{kind.resource} {name}")

    def text(self, path: str, query: Mapping[str, str] | None = None, timeout_s: float = READ_S) -> str:
        """The text at a path: a log, or a pod's answer through the API server.

        Raises:
            ClusterFault: it cannot be read.
        """
        return self._ask("GET", path, path, query or {}, timeout_s=timeout_s).decode(errors="replace")

    def answer(self, path: str, timeout_s: float) -> tuple[int, bytes]:
        """What is answered at a path, whatever it is: the status and the body.

        Raises:
            Unanswered: nobody answers in time.
        """
        return self._send("GET", path, timeout_s=timeout_s)

    def lines(self, path: str, query: Mapping[str, str]) -> Iterator[str]:
        """The lines at a path as they come, until the server ends them.

        Raises:
            ClusterFault: it cannot be read.
        """
        answer = self._open("GET", _with(path, query), None, urllib3.Timeout(connect=CONNECT_S, read=None))
        try:
            if answer.status != 200:  # noqa: PLR2004  # HTTP's own number
                _checked(answer.status, answer.data, "GET", "pods/log")
            rest = b""
            for part in answer.stream(amt=None):
                *whole, rest = (rest + part).split(b"\n")
                yield from (each.decode(errors="replace") for each in whole)
            if rest:
                yield rest.decode(errors="replace")
        except HTTPError as error:
            raise Unanswered(f"{self.server} ended its answer: {error}") from error
        finally:
            answer.release_conn()

    def _object(self, body: bytes) -> Manifest:
        """The object that an answer is, as every answer of an API server of success."""
        try:
            found = json.loads(body)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise NoCluster(no_api_server(self.server, body))
        return found

    def _in(self, namespace: str | None) -> str:
        return self.namespace if namespace is None else namespace

    def _ask(  # noqa: PLR0913, PLR0917  # a request's parts
        self,
        method: str,
        path: str,
        resource: str,
        query: Mapping[str, str] | None = None,
        body: str | None = None,
        timeout_s: float = READ_S,
    ) -> bytes:
        status, answer = self._send(method, _with(path, query or {}), body, timeout_s)
        return _checked(status, answer, method, resource)

    def _send(self, method: str, path: str, body: str | None = None, timeout_s: float = READ_S) -> tuple[int, bytes]:
        """Ask, and ask again while the server says that it is busy, as every client of Kubernetes does."""
        for _ in range(BUSY_TRIES):
            answer = self._open(method, path, body, urllib3.Timeout(connect=CONNECT_S, read=timeout_s))
            try:
                content = answer.data
            except HTTPError as error:
                raise Unanswered(f"{self.server} ended its answer: {error}") from error
            finally:
                answer.release_conn()
            wait = answer.headers.get("Retry-After", "")
            if not wait.isdecimal():
                return answer.status, content
            time.sleep(min(float(wait), MAX_BUSY_S))
        raise Unanswered(f"{self.server} says that it is busy, again and again ({answer.status}): try later")

    def _open(self, method: str, path: str, body: str | None, timeout: urllib3.Timeout) -> urllib3.BaseHTTPResponse:
        given = {"Accept": "application/json, */*"}
        if body is not None:
            given["Content-Type"] = "application/apply-patch+yaml"
        _, url, made, _, _ = self.api.param_serialize(method, path, header_params=given, auth_settings=["BearerToken"])
        headers = urllib3.HTTPHeaderDict(made)
        for name, value in self._headers:  # one of several groups each
            headers.add(name, value)
        try:
            answer: urllib3.BaseHTTPResponse = self.api.rest_client.pool_manager.request(
                method,
                url,
                body=body,
                headers=headers,
                timeout=timeout,
                preload_content=False,
                retries=False,
            )
        except HTTPError as error:
            raise Unanswered(_unreachable(self.server, error)) from error
        return answer


def connect(target: Target) -> Connection:
    """Open the cluster that is meant. Nothing is asked yet.

    Raises:
        NoCluster: no kubeconfig says which, or it cannot be read.
    """
    settings = client.Configuration()
    try:
        namespace, headers = _configure(settings, target)
    except (config.ConfigException, yaml.YAMLError, OSError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise NoCluster(_no_kubeconfig(target, error)) from error
    settings.retries = False
    return Connection(client.ApiClient(settings), target.namespace or namespace, headers)


def _configure(settings: Any, target: Target) -> tuple[str, list[tuple[str, str]]]:
    """Fill in the client's settings, and return the kubeconfig's namespace and the headers of who acts as another."""
    source = kube_config.KUBE_CONFIG_DEFAULT_LOCATION if target.kubeconfig is None else str(target.kubeconfig)
    merged = kube_config.KubeConfigMerger(source).config  # type: ignore[no-untyped-call]  # the client's config has no types
    if merged is None:
        if target.kubeconfig is None and target.context is None:
            config.load_incluster_config(client_configuration=settings)  # type: ignore[no-untyped-call]
            return _namespace_of_this_pod(), []
        raise FileNotFoundError(f"there is no {source}")
    whole = merged.value
    wanted = target.context or whole.get("current-context") or ""
    contexts = {each["name"]: each.value["context"] for each in whole["contexts"]}
    if wanted not in contexts:
        known = ", ".join(contexts) or "none"
        chosen = f"has no context {wanted!r}" if wanted else "has no current context: choose one with --context"
        raise config.ConfigException(f"{source} {chosen} (there: {known})")
    config.load_kube_config(source, wanted, settings, persist_config=False)  # type: ignore[no-untyped-call]
    user = next((each.value.get("user") for each in whole["users"] if each["name"] == contexts[wanted]["user"]), None)
    return contexts[wanted].get("namespace") or "default", _acting_as(user or {})


def _acting_as(user: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The headers of a kubeconfig's user who acts as another, which the client would leave out, and act as itself."""
    if not user.get("as"):
        return []
    groups = [("Impersonate-Group", str(each)) for each in user.get("as-groups") or ()]
    uid = [("Impersonate-Uid", str(user["as-uid"]))] if user.get("as-uid") else []
    return [("Impersonate-User", str(user["as"])), *uid, *groups]


def _namespace_of_this_pod() -> str:
    path = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
    return path.read_text().strip() if path.exists() else "default"


def _no_kubeconfig(target: Target, error: Exception) -> str:
    if target.kubeconfig is None and "Service host/port is not set" in str(error):
        return (
            f"there is no kubeconfig: {kube_config.KUBE_CONFIG_DEFAULT_LOCATION} is not there, and this is no pod of a "
            "cluster; name a file with --kubeconfig or KUBECONFIG"
        )
    said = str(error).removeprefix("Invalid kube-config file. ")
    return f"the kubeconfig cannot be used: {said or type(error).__name__}"


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


def _with(path: str, query: Mapping[str, str]) -> str:
    given = {key: value for key, value in query.items() if value}
    return f"{path}?{urlencode(given)}" if given else path


def _checked(status: int, body: bytes, method: str, resource: str) -> bytes:
    if 200 <= status < 300:  # noqa: PLR2004  # HTTP's own numbers
        return body
    raise fault_of(status, body, _VERBS[method], resource)
