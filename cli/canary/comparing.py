"""The contracts of both versions: from copies of their model directories, or from the servers themselves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import httpx
import typer

from rollout import NotPossible, Observed
from rollout.contracts import ContractFacts, Facts, changes, of_directory, of_info

TIMEOUT_S: Final = 5.0
MAX_BYTES: Final = 2**20


def read_directories(stable: Path | None, candidate: Path | None) -> Facts:
    """Read both copies, or none.

    Raises:
        typer.BadParameter: one of the two is missing.
        ContractInvalid: one is no model directory.
    """
    if (stable is None) != (candidate is None):
        raise typer.BadParameter("--stable-dir and --candidate-dir belong together: two contracts are compared")
    return (None, None) if stable is None or candidate is None else (of_directory(stable), of_directory(candidate))


def ask_servers(observed: Observed, client: httpx.Client) -> Facts:
    """Ask both versions at their own addresses.

    Raises:
        NotPossible: one does not answer from here, or is not our transformer.
    """
    if observed.candidate is None:
        return None, None
    return _ask(observed.stable.url, client), _ask(observed.candidate.url, client)


def told(facts: Facts) -> list[str]:
    """What to say of two contracts."""
    stable, candidate = facts
    if stable is None or candidate is None:
        return []
    changed = changes(stable, candidate)
    if not changed:
        return ["the contracts of both versions agree"]
    return ["the contracts differ: who reads the answers meets both kinds", *(f"  {each}" for each in changed)]


def told_by_servers(observed: Observed, open_client: Callable[[], httpx.Client]) -> list[str]:
    """Ask both versions, and say what there is to say; that they cannot be asked from here is no failure."""
    try:
        with open_client() as client:
            return told(ask_servers(observed, client))
    except NotPossible as error:
        return [f"the contracts were not compared ({error}): --stable-dir and --candidate-dir compare copies of them"]


def http_client() -> httpx.Client:
    """A client that does not wait long."""
    return httpx.Client(timeout=TIMEOUT_S)


def _ask(url: str, client: httpx.Client) -> ContractFacts:
    if not url:
        raise NotPossible("the version has no address of its own")
    try:
        answer = client.get(f"{url.rstrip('/')}/info")
        return of_info(answer.json() if answer.is_success and len(answer.content) <= MAX_BYTES else None)
    except (httpx.HTTPError, ValueError) as error:
        raise NotPossible(f"{url} does not answer from here") from error
