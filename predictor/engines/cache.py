"""TensorRT's engines on a volume, since each takes minutes to build.

An engine fits one graph, one GPU, one driver and one version of everything that made it. All of these are in the name
of its folder, so that another one is never read, whoever shares the volume. A folder is filled under a name that nobody
looks for, and gets its own in one step: what can be found is whole. A list of digests tells what was damaged since.

What TensorRT learns about a GPU while it builds (the timings) helps with every other graph, and is kept beside.

ONNX Runtime's optimised graph is not kept: it would save 5 to 25 ms of a load, and to find out that it is the right one
takes as long.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from serving.log import get_logger

logger = get_logger(__name__)

MANIFEST: Final = "manifest.json"
TIMINGS: Final = "*.timing"
FORGOTTEN_S: Final = 24 * 3600.0
"""Seconds after which a folder that was never finished is somebody's who is gone."""


class EngineCache:
    """The folder of one graph's engines on one device.

    `device` is what timings depend on, and `build` what an engine depends on besides.
    """

    def __init__(self, root: Path, device: Mapping[str, str], build: Mapping[str, str]) -> None:
        self._root = root / "tensorrt"
        self._timings = self._root / f"timings-{_key(device)}"
        self._published = self._root / _key({**device, **build})
        self._own: Path | None = None

    def open(self) -> Path | None:
        """Return the folder that a session reads engines from, and writes new ones to; None where the volume is full
        or cannot be written.
        """
        if self._own is not None:
            return self._own
        try:
            if self._published.is_dir():
                if _is_whole(self._published):
                    return self._published
                logger.warning("engine cache damaged", folder=str(self._published))
                self.discard()
            return self._begin()
        except OSError as error:
            logger.warning("engine cache not available", folder=str(self._root), error=str(error))
            self._own = None
            return None

    def publish(self) -> None:
        """Let others find what was built, if anything was."""
        own, self._own = self._own, None
        if own is None:
            return
        try:
            self._publish(own)
        except OSError as error:  # the volume is full, or another process was first
            if not self._published.is_dir():
                logger.warning("engine cache not written", folder=str(self._published), error=str(error))
        shutil.rmtree(own, ignore_errors=True)

    def discard(self) -> None:
        """Delete what is kept of this graph, and the timings: one of them is damaged."""
        for folder in (self._published, self._timings, self._own):
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)
        self._own = None

    def _begin(self) -> Path:
        self._root.mkdir(parents=True, exist_ok=True)
        self._forget_unfinished()
        self._own = Path(tempfile.mkdtemp(prefix=".building-", dir=self._root))
        for timing in self._timings.glob(TIMINGS):
            shutil.copyfile(timing, self._own / timing.name)
        return self._own

    def _publish(self, own: Path) -> None:
        for timing in own.glob(TIMINGS):
            self._timings.mkdir(exist_ok=True)
            timing.replace(self._timings / timing.name)
        digests = {path.name: _digest(path) for path in own.iterdir()}
        if digests:
            (own / MANIFEST).write_text(json.dumps(digests))
            own.chmod(0o755)  # others who share the volume may be other users
            own.rename(self._published)
            logger.info("engines kept", folder=str(self._published), files=len(digests))

    def _forget_unfinished(self) -> None:
        for folder in self._root.glob(".building-*"):
            with suppress(FileNotFoundError):  # another process was first
                if time.time() - folder.stat().st_mtime > FORGOTTEN_S:
                    shutil.rmtree(folder, ignore_errors=True)


def _key(facts: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


def _is_whole(folder: Path) -> bool:
    try:
        digests = json.loads((folder / MANIFEST).read_text())
        return bool(digests) and all(_digest(folder / name) == digest for name, digest in digests.items())
    except (OSError, ValueError, AttributeError):  # no manifest, or none of ours
        return False


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
