"""Why a pod is not ready, from its status, its events, and what it answers. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from cli.cluster.kinds import Manifest, condition

FETCHES: Final = "storage-initializer"
"""KServe's init container, which fetches the model."""
NOT_PULLED: Final = ("ErrImagePull", "ImagePullBackOff")
NEVER_PULLED: Final = ("InvalidImageName", "ErrImageNeverPull")
NOT_LOADED: Final = ("MODEL_LOAD_FAILED", "CONTRACT_INVALID")
"""What a server's answer holds, its own or that of the predictor behind it, whose model no waiting makes ready."""
QUOTED: Final = 400
"""Characters of a termination message that are quoted, from its end, where the reason stands."""
_LOGGED: Final = re.compile(r"^\S+ \S+ \d+ storage\.initializer [A-Z]+ \[\S+\] ", re.MULTILINE)
"""What KServe's storage initializer writes before each thing that it logs."""
_PREEMPTION: Final = re.compile(r"\.? ?(no new claims to deallocate, )?preemption: .*$")


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something is not ready."""

    text: str
    is_final: bool = False
    """Whether waiting will not mend it."""


def is_ready(pod: Manifest) -> bool:
    """Whether a pod takes requests."""
    return bool(condition(pod, "Ready").get("status") == "True")


def why_not_ready(pod: Manifest, events: Sequence[Manifest], answer: str = "") -> Reason:
    """Say why a pod is not ready; `events` are its own, and `answer` what it says of its readiness."""
    name = pod["metadata"]["name"]
    status = pod.get("status") or {}
    about = [each for each in events if each["involvedObject"]["name"] == name]
    if status.get("phase") == "Failed":
        return Reason(f"pod {name} failed: {status.get('reason', '')} {status.get('message', '')}".rstrip())
    scheduled = condition(pod, "PodScheduled")
    if scheduled.get("status") == "False":
        return Reason(f"no node takes the pod: {_shortened(scheduled.get('message', ''))}")
    if not pod["spec"].get("nodeName"):
        return Reason(f"pod {name} waits for the scheduler")
    containers = [*_containers(pod, "init"), *_containers(pod, "")]
    reasons = (_why(container, state, about, answer) for container, state in containers)
    if found := next(filter(None, reasons), None):
        return found
    return Reason(f"pod {name} starts: {_last_message(about) or 'its node has not said more'}")


def _containers(pod: Manifest, kind: str) -> list[tuple[Manifest, Manifest]]:
    """Containers of a pod, each with its status."""
    specs, states = ("initContainers", "initContainerStatuses") if kind else ("containers", "containerStatuses")
    found = {each["name"]: each for each in (pod.get("status") or {}).get(states) or ()}
    return [(each, found[each["name"]]) for each in pod["spec"].get(specs) or () if each["name"] in found]


def _why(container: Manifest, status: Manifest, events: Sequence[Manifest], answer: str) -> Reason | None:
    """Why one container keeps its pod from being ready; None where it does not."""
    name, state = container["name"], status.get("state") or {}
    ended = state.get("terminated") or (status.get("lastState") or {}).get("terminated")
    if "waiting" in state:
        return _why_waiting(container, status, ended, events)
    if "terminated" in state:
        done = state["terminated"]["exitCode"] == 0 and (name == FETCHES or not _serves(name))
        return None if done else _why_ended(container, state["terminated"], status)
    if name == FETCHES and "running" in state:
        again = f" again, after {_ending(ended)}" if ended else ""
        return Reason(f"the model is fetched from {_source(container)} by {name}{again}")
    if "running" in state and not status.get("ready"):
        return _why_unready(name, status, ended, events, answer)
    return None


def _why_waiting(
    container: Manifest, status: Manifest, ended: Manifest | None, events: Sequence[Manifest]
) -> Reason | None:
    waiting = status["state"]["waiting"]
    name, reason, message = container["name"], waiting.get("reason", ""), waiting.get("message", "")
    if reason in NOT_PULLED + NEVER_PULLED:
        said = message or _last_message(events, "Failed")
        text = f"the image {container['image']} of {name} cannot be pulled ({reason}): {_shortened(said)}"
        return Reason(text.rstrip(": "), is_final=reason in NEVER_PULLED)
    if reason == "CrashLoopBackOff":
        return _why_ended(container, ended or {}, status)
    if reason == "PodInitializing":  # an init container is what is waited for
        return None
    if reason == "ContainerCreating" or not reason:
        return _why_creating(events)
    return Reason(f"{name} cannot start ({reason}): {_shortened(message)}")


def _why_creating(events: Sequence[Manifest]) -> Reason | None:
    if not events:
        return None
    last = events[-1]
    if last["reason"] == "Pulling":
        return Reason(last["message"][:1].lower() + last["message"][1:])
    if last.get("type") == "Warning":
        return Reason(f"{last['reason']}: {_shortened(last['message'])}")
    return None


def _why_ended(container: Manifest, ended: Manifest, status: Manifest) -> Reason:
    name = container["name"]
    what = f"{FETCHES} cannot fetch {_source(container)}" if name == FETCHES else f"{name} ends again and again"
    if ended.get("reason") == "OOMKilled":
        limit = ((container.get("resources") or {}).get("limits") or {}).get("memory", "its node")
        return Reason(f"{name} was killed, since its memory limit of {limit} is too little: give more with --memory")
    times = f", {status['restartCount'] + 1} times" if status.get("restartCount") else ""
    return Reason(f"{what}{times}: {_ending(ended)}")


def _why_unready(
    name: str, status: Manifest, ended: Manifest | None, events: Sequence[Manifest], answer: str
) -> Reason:
    if answer:
        not_loaded = any(each in answer for each in NOT_LOADED)
        return Reason(f"the model is not ready: {_shortened(answer)}", is_final=not_loaded)
    before = f"; before, it had {_ending(ended)}" if ended and ended.get("exitCode") else ""
    if status.get("started") is False:
        return Reason(f"{name} starts, and loads the model{before}")
    said = _last_message(events, "Unhealthy")
    return Reason(f"{name} runs and is not ready, as while it loads the model{f' ({said})' if said else ''}{before}")


def _ending(ended: Manifest | None) -> str:
    if not ended:
        return "ended, and its node does not say how"
    said = _tail(ended.get("message", "")) or ended.get("reason", "")
    return f"ended with exit code {ended.get('exitCode', '?')}{f': {said}' if said else ''}"


def _source(container: Manifest) -> str:
    args: Sequence[Any] = container.get("args") or ()
    return str(args[0]) if args else "its address"


def _serves(name: str) -> bool:
    return name.endswith("-container")


def _last_message(events: Sequence[Manifest], reason: str = "") -> str:
    messages = [str(each["message"]) for each in events if reason in ("", each["reason"])]
    return _shortened(messages[-1]) if messages else ""


def _shortened(text: str) -> str:
    one_line = _PREEMPTION.sub("", " ".join(text.split()))
    return one_line if len(one_line) <= QUOTED else f"{one_line[:QUOTED]} ..."


def _tail(text: str) -> str:
    """The last thing that is said, in one line."""
    one_line = " ".join(_LOGGED.split(text)[-1].split())
    return one_line if len(one_line) <= QUOTED else f"... {one_line[-QUOTED:]}"
