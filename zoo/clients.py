"""The commands that download packages: pip, and npm.

They run as processes of their own, so that the user's index, mirror, proxy and certificates are the ones that are used.
None may run code of the package: pip is asked for wheels only, since fetching a source archive would run its setup
script before its digest could be checked, and npm packs what the registry has, without the package's scripts.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from zoo.errors import PackageUnavailable
from zoo.recipe import Package


@dataclass(frozen=True, slots=True)
class Client:
    """The command of one kind of index."""

    name: str
    command: tuple[str, ...]
    arguments: Callable[[Package, Path], tuple[str, ...]]
    """From a package and a folder to what has the command put the package's archive there."""
    missing: str
    """How to get the command where there is none."""
    reason: Callable[[str, int], str]
    """Why it failed, in a sentence or two, from what it wrote to its standard error and its exit status."""


def download(package: Package, folder: Path, client: Client) -> Path:
    """Download the package's archive into an empty folder, and return its path.

    Raises:
        PackageUnavailable: the client is missing, or failed; the message is the reason alone.
    """
    try:
        done = subprocess.run(  # noqa: S603 - no shell, and every word is ours: the recipe's, never a request's
            [*client.command, *client.arguments(package, folder)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    except FileNotFoundError as error:
        raise PackageUnavailable(client.missing) from error
    if done.returncode != 0:
        raise PackageUnavailable(client.reason(done.stderr, done.returncode))
    [downloaded] = folder.iterdir()
    return downloaded


def _pip_arguments(package: Package, folder: Path) -> tuple[str, ...]:
    quietly = ("--quiet", "--no-input", "--progress-bar=off", "--disable-pip-version-check")
    what = ("--no-deps", "--only-binary=:all:", f"--dest={folder}", f"{package.name}=={package.version}")
    return ("download", *quietly, *what)


def _pip_reason(said: str, status: int) -> str:
    error = next((line for line in said.splitlines() if line.startswith("ERROR: ")), "").removeprefix("ERROR: ")
    if "No module named pip" in said:
        return f"{sys.executable} has no pip; `python -m ensurepip` brings it."
    if "Retrying (" in said:
        return f"the package index cannot be reached. pip said: {error}."
    if "No matching distribution" in said:
        return f"the package index that pip is configured with does not have it. pip said: {error}."
    return f"pip ended with status {status}. It said: {error or said.strip()[-300:] or 'nothing'}."


_NPM_NOT_THERE = ("E404", "ETARGET")
_NPM_UNREACHABLE = ("ECONNREFUSED", "ECONNRESET", "ENOTFOUND", "EAI_AGAIN", "ETIMEDOUT", "EHOSTUNREACH", "ERR_SOCKET")


def _npm_arguments(package: Package, folder: Path) -> tuple[str, ...]:
    quietly = ("--loglevel=error", "--no-update-notifier", "--ignore-scripts")
    return ("pack", *quietly, f"--pack-destination={folder}", f"{package.name}@{package.version}")


def _npm_reason(said: str, status: int) -> str:
    """Tell by npm's error code, which it writes in a line of its own."""
    lines = [line.removeprefix("npm error ").removeprefix("npm ERR! ").strip() for line in said.splitlines()]
    code = next((line.removeprefix("code ") for line in lines if line.startswith("code ")), "")
    # What follows the code and the system call is the sentence.
    sentence = next((line for line in lines if not line.startswith(("code ", "syscall ", "errno ", "npm "))), "")
    error = f"{code} {sentence}".strip()[:300]
    if code in _NPM_NOT_THERE:
        return f"the registry that npm is configured with does not have it. npm said: {error}."
    if code.startswith(_NPM_UNREACHABLE):
        return f"the npm registry cannot be reached. npm said: {error}."
    return f"npm ended with status {status}. It said: {error or 'nothing'}."


PIP = Client(
    name="pip",
    command=(sys.executable, "-m", "pip"),
    arguments=_pip_arguments,
    missing=f"{sys.executable} cannot be run.",
    reason=_pip_reason,
)

NPM = Client(
    name="npm",
    command=("npm",),
    arguments=_npm_arguments,
    missing="npm is not installed; it comes with Node.js.",
    reason=_npm_reason,
)

CLIENTS: Mapping[str, Client] = MappingProxyType({"PyPI": PIP, "npm": NPM})
"""By the kind of index, as a recipe's package says it."""
