"""Which cluster is meant, and who asks: a kubeconfig's context, or the cluster that this process is a pod of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml
from kubernetes import client, config
from kubernetes.config import kube_config

from rollout.connection import Connection, Headers
from rollout.errors import NoCluster

POD_NAMESPACE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


@dataclass(frozen=True, slots=True)
class Target:
    """Which cluster is meant, as options say it; None is what the kubeconfig says."""

    kubeconfig: Path | None = None
    context: str | None = None
    namespace: str | None = None


def connect(target: Target) -> Connection:
    """Open the cluster that is meant. Nothing is asked yet.

    Raises:
        NoCluster: no kubeconfig says which, or it cannot be read.
    """
    settings = client.Configuration()
    try:
        namespace, acts_as = _configure(settings, target)
    except (config.ConfigException, yaml.YAMLError, OSError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise NoCluster(_no_kubeconfig(target, error)) from error
    settings.retries = False
    settings.keep_alive = True  # a log that is followed is silent for hours, and so is one whose server is gone
    return Connection(client.ApiClient(settings), target.namespace or namespace, acts_as)


def _configure(settings: Any, target: Target) -> tuple[str, Headers]:
    """Fill in the client's settings, and return the kubeconfig's namespace and the headers of who acts as another."""
    source = kube_config.KUBE_CONFIG_DEFAULT_LOCATION if target.kubeconfig is None else str(target.kubeconfig)
    merged = kube_config.KubeConfigMerger(source).config  # type: ignore[no-untyped-call]  # the client's config has no types
    if merged is None:
        if target.kubeconfig is None and target.context is None:
            config.load_incluster_config(client_configuration=settings)  # type: ignore[no-untyped-call]
            return POD_NAMESPACE.read_text().strip() if POD_NAMESPACE.exists() else "default", ()
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


def _acting_as(user: Mapping[str, Any]) -> Headers:
    """The headers of a kubeconfig's user who acts as another, which the client would leave out, and act as itself."""
    if not user.get("as"):
        return ()
    groups = [("Impersonate-Group", str(each)) for each in user.get("as-groups") or ()]
    uid = [("Impersonate-Uid", str(user["as-uid"]))] if user.get("as-uid") else []
    return ("Impersonate-User", str(user["as"])), *uid, *groups


def _no_kubeconfig(target: Target, error: Exception) -> str:
    if target.kubeconfig is None and "Service host/port is not set" in str(error):
        return (
            f"there is no kubeconfig: {kube_config.KUBE_CONFIG_DEFAULT_LOCATION} is not there, and this is no pod of a "
            "cluster; name a file with --kubeconfig or KUBECONFIG"
        )
    said = str(error).removeprefix("Invalid kube-config file. ")
    return f"the kubeconfig cannot be used: {said or type(error).__name__}"
