"""A cluster as tests see it: apply, read, wait, and what was refused by whom."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import yaml

from rollout.kinds import Kind
from tests.cluster.command_line import CommandLine
from tests.cluster.control_plane import ControlPlane
from tests.cluster.daemons import POLL_S
from tests.cluster.kinds import EVENT, NAMESPACE
from tests.cluster.manifests import Manifest, Source, manifests
from tests.cluster.refusal import Refused

WAIT_S: Final = 60.0
MANAGER: Final = "kserve-vision-tests"


class Cluster:
    """The administrator's view of a running API server; `acting_as` gives another user's."""

    patience_s = WAIT_S
    """Seconds that something is waited for."""

    def __init__(self, plane: ControlPlane, client: httpx.Client, acts_as: Sequence[tuple[str, str]] = ()) -> None:
        """Speak through `client`, the administrator's; `acts_as` are headers that name another user."""
        self.plane = plane
        self.command_line = CommandLine(plane.folder, plane.kubeconfig)
        self._client = client
        self._acts_as = acts_as
        self._kinds: dict[tuple[str, str], Kind] = {}
        self._numbers = itertools.count(1)

    @property
    def kubeconfig(self) -> Path:
        """For `kubectl`, `helm` and our own command line."""
        return self.plane.kubeconfig

    def acting_as(self, user: str, *groups: str) -> Cluster:
        """The same cluster for another user, for example `system:serviceaccount:NAMESPACE:NAME`."""
        headers = [("Impersonate-User", user), *(("Impersonate-Group", group) for group in groups)]
        other = Cluster(self.plane, self._client, headers)
        other._numbers = self._numbers
        return other

    def namespace(self, *, enforce: str = "", labels: Mapping[str, str] | None = None) -> str:
        """Make a fresh namespace, and return its name; `enforce` is a level of Pod Security: `restricted`."""
        level = {"pod-security.kubernetes.io/enforce": enforce} if enforce else {}
        metadata = {"name": f"test-{next(self._numbers)}", "labels": {**level, **(labels or {})}}
        name: str = metadata["name"]  # type: ignore[assignment]  # the one string among its values
        self.create(NAMESPACE, {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
        self.apply(account, name)  # as the controller manager would, or has done
        return name

    def apply(self, source: Source, namespace: str = "default", *, dry_run: bool = False) -> list[Manifest]:
        """Apply on the server's side with strict field validation, and return the objects as the cluster keeps them.

        `source` is YAML, a file, a folder of files, or manifests. `namespace` is for those that name none.

        Raises:
            Refused: the first that was not taken; those before it are there.
        """
        return [self._apply(each, namespace, dry_run=dry_run) for each in manifests(source)]

    def refusal(self, source: Source, namespace: str = "default") -> Refused | None:
        """Say who refuses it and why; None where nobody does. Nothing is kept."""
        try:
            self.apply(source, namespace, dry_run=True)
        except Refused as refused:
            return refused
        return None

    def create(self, kind: Kind, manifest: Manifest, namespace: str = "default", *, dry_run: bool = False) -> Manifest:
        """Create one object, and return it as admission left it.

        Raises:
            Refused: it was not taken.
        """
        parameters = {"fieldValidation": "Strict"} | ({"dryRun": "All"} if dry_run else {})
        return self._answer("POST", kind.path(namespace), params=parameters, json=manifest)

    def get(self, kind: Kind, name: str, namespace: str = "default") -> Manifest | None:
        """An object, or None where there is none of that name."""
        answer = self._send("GET", kind.path(namespace, name))
        return None if answer.status_code == httpx.codes.NOT_FOUND else _checked(answer, name)

    def objects(self, kind: Kind, namespace: str = "default", labels: str = "") -> list[Manifest]:
        """All objects of a kind in a namespace, or those with labels: `app=x,tier=y`."""
        items: list[Manifest] = self._answer("GET", kind.path(namespace), params={"labelSelector": labels})["items"]
        return items

    def patch(self, kind: Kind, name: str, namespace: str, change: Manifest, part: str = "") -> Manifest:
        """Merge `change` into an object, or into its `status`; a None takes a field away."""
        path = f"{kind.path(namespace, name)}/{part}".rstrip("/")
        headers = {"Content-Type": "application/merge-patch+json"}
        return self._answer("PATCH", path, content=json.dumps(change), headers=headers)

    def delete(self, kind: Kind, name: str, namespace: str = "default") -> None:
        """Delete an object, and wait until it is gone. Nobody collects garbage: what it owned stays."""
        self._answer("DELETE", kind.path(namespace, name))
        self.until(lambda: self.get(kind, name, namespace) is None, f"{kind} {name} is still there")

    def wait_for(self, kind: Kind, name: str, namespace: str, predicate: Callable[[Manifest], Any] = bool) -> Manifest:
        """Wait until the object is there and as `predicate` wants it, and return it; fail the test after a minute."""
        seen: list[Manifest | None] = [None]

        def fits() -> bool:
            seen[0] = self.get(kind, name, namespace)
            return seen[0] is not None and bool(predicate(seen[0]))

        self._poll(fits, lambda: self._unlike(kind, name, namespace, seen[0]))
        assert seen[0] is not None
        return seen[0]

    def until(self, done: Callable[[], bool], otherwise: str) -> None:
        """Wait until `done`; fail the test with that sentence after a minute."""
        self._poll(done, lambda: otherwise)

    def events(self, name: str, namespace: str) -> list[str]:
        """What the events about an object say, `Reason: message`."""
        about = [each for each in self.objects(EVENT, namespace) if each["involvedObject"]["name"] == name]
        return [f"{each['reason']}: {each['message']}" for each in about]

    def _apply(self, manifest: Manifest, namespace: str, *, dry_run: bool) -> Manifest:
        kind = self._kind_of(manifest)
        metadata = manifest["metadata"]
        if kind.namespaced:
            metadata = {"namespace": namespace, **metadata}
        parameters = {"fieldManager": MANAGER, "fieldValidation": "Strict", "force": "true"}
        parameters |= {"dryRun": "All"} if dry_run else {}
        path = kind.path(metadata.get("namespace", ""), metadata["name"])
        headers = {"Content-Type": "application/apply-patch+yaml"}
        content = json.dumps({**manifest, "metadata": metadata})
        return self._answer("PATCH", path, params=parameters, content=content, headers=headers)

    def _kind_of(self, manifest: Manifest) -> Kind:
        version, name = manifest["apiVersion"], manifest["kind"]
        if (version, name) not in self._kinds:
            answer = self._send("GET", f"/apis/{version}" if "/" in version else f"/api/{version}")
            for each in answer.json().get("resources", ()) if answer.is_success else ():
                if "/" not in each["name"]:
                    self._kinds[version, each["kind"]] = Kind(version, each["name"], namespaced=each["namespaced"])
        if (version, name) not in self._kinds:
            raise Refused(f'no matches for kind "{name}" in version "{version}"', name)
        return self._kinds[version, name]

    def _answer(self, method: str, path: str, **arguments: Any) -> Manifest:
        return _checked(self._send(method, path, **arguments), path)

    def _send(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, **arguments: Any
    ) -> httpx.Response:
        """Ask, and ask again while the server says that it is busy, as every client of Kubernetes does."""
        answers: list[httpx.Response] = []
        together = [*self._acts_as, *(headers or {}).items()]

        def answered() -> bool:
            answers[:] = [self._client.request(method, path, headers=together, **arguments)]
            return "Retry-After" not in answers[0].headers

        self._poll(answered, lambda: f"{method} {path}: {answers[0].text}")
        return answers[0]

    def _poll(self, done: Callable[[], bool], reason: Callable[[], str]) -> None:
        deadline = time.monotonic() + self.patience_s
        while not done():
            if time.monotonic() > deadline:
                pytest.fail(reason())
            time.sleep(POLL_S)

    def _unlike(self, kind: Kind, name: str, namespace: str, seen: Manifest | None) -> str:
        events = "\n".join(self.events(name, namespace)) or "none"
        if seen is None:
            there = ", ".join(each["metadata"]["name"] for each in self.objects(kind, namespace)) or "none"
            return f"there is no {kind} {name} in {namespace}, but {there}; events about {name}:\n{events}"
        return f"{kind} {name} did not become what was awaited:\n{yaml.safe_dump(seen)}\nevents:\n{events}"


def _checked(answer: httpx.Response, subject: str) -> Manifest:
    said: Manifest = answer.json()
    if answer.is_success:
        said.get("metadata", {}).pop("managedFields", None)
        return said
    raise Refused(said.get("message", answer.text), subject)
