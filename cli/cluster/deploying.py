"""Apply an InferenceService, and wait until it is ready, saying why it is not."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from cli.cluster.facts import INSTALL_RUNTIMES
from cli.cluster.faults import ClusterFault
from cli.cluster.kinds import CLUSTER_SERVING_RUNTIME, INFERENCE_SERVICE, POD, SERVING_RUNTIME, Manifest, condition
from cli.cluster.observed import Observed, observe
from cli.cluster.pods import Reason, is_ready
from cli.cluster.rendering import Wish, inference_service
from cli.cluster.waiting import why_waiting
from rollout import ApiError, Denied, Unreachable
from rollout.connection import Connection

POLL_S: Final = 1.0
PATIENCE: Final = 2
"""So many looks in a row must find it ready: KServe's status does not tell which generation it is of."""
ASK_S: Final = 2.0
READY_PATH: Final = "v2/health/ready"


class NotReady(ClusterFault):
    """It did not become ready; the message says why. What was applied stays."""


def apply(connection: Connection, wish: Wish, *, force: bool, dry_run: bool = False) -> Manifest:
    """Apply the InferenceService of a wish, but not over somebody else's, nor where no runtime would serve it.

    Raises:
        ClusterFault: it is somebody else's, or there is no runtime.
        ApiError: it is not taken.
    """
    there = connection.get(INFERENCE_SERVICE, connection.namespace, wish.name)
    if there is not None and not Observed(there).is_ours:
        runtime = Observed(there).runtime or "its own container"
        raise ClusterFault(
            f"there is an InferenceService {wish.name} already, which is served by {runtime}: choose another --name"
        )
    _check_runtime(connection, wish)
    return connection.apply(INFERENCE_SERVICE, inference_service(wish), force=force, dry_run=dry_run)


def _check_runtime(connection: Connection, wish: Wish) -> None:
    try:
        found = connection.get(CLUSTER_SERVING_RUNTIME, "", wish.runtime) or connection.get(
            SERVING_RUNTIME, connection.namespace, wish.runtime
        )
    except Denied:  # KServe will say it
        return
    if found is None:
        raise ClusterFault(
            f"this cluster has no runtime {wish.runtime}: install it with {INSTALL_RUNTIMES.format(wish.mode.value)}"
        )


def wait_ready(  # noqa: PLR0913  # the last two are the clock
    connection: Connection,
    name: str,
    timeout_s: float,
    say: Callable[[str], None],
    *,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Observed:
    """Look at an InferenceService until it is ready, and return it; `say` is told why it is not.

    Raises:
        NotReady: it took too long, waiting will not mend what is wrong, or it is gone.
        ApiError: it cannot be read.
    """
    deadline, ready = now() + timeout_s, 0
    while True:
        try:
            seen = _look(connection, name)
            reason = why_waiting(seen)
        except Unreachable as error:
            reason = Reason(str(error))
        ready = 0 if reason else ready + 1
        if ready == PATIENCE:
            return seen
        if reason is not None:
            say(reason.text)
            if reason.is_final:
                raise NotReady(reason.text)
            if now() > deadline:
                raise NotReady(f"{reason.text} (after {timeout_s:g} s)")
        sleep(POLL_S)


def _look(connection: Connection, name: str) -> Observed:
    found = observe(connection, name)
    if not found:
        raise NotReady("it is gone: somebody deleted it")
    return replace(found[0], answers=_answers(connection, found[0]))


def _answers(connection: Connection, seen: Observed) -> dict[str, str]:
    """What pods that run and are not ready say of it, asked through the API server."""
    return {
        pod["metadata"]["name"]: said
        for pod in seen.pods
        if not is_ready(pod) and _runs(pod) and (said := _ask(connection, pod))
    }


def _runs(pod: Manifest) -> bool:
    initialized = condition(pod, "Initialized").get("status") == "True"
    states = (pod.get("status") or {}).get("containerStatuses") or ()
    return initialized and any("running" in (each.get("state") or {}) for each in states)


def _ask(connection: Connection, pod: Manifest) -> str:
    """Why a pod is not ready, in its own words; "" where it does not say."""
    path = f"{POD.path(connection.namespace, pod['metadata']['name'])}:8080/proxy/{READY_PATH}"
    try:
        _, body = connection.answer(path, ASK_S)
        said = json.loads(body)
    except (ApiError, ValueError):
        return ""
    reason = said.get("error") if isinstance(said, dict) else None
    return reason if isinstance(reason, str) else ""
