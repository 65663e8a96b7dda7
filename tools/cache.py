"""Where built tools lie: in a folder that git does not see, each under a digest of what it is made from.

So a change of a version, a hash or a flag builds that tool anew, a branch with another version keeps its own, and what
lies there is always whole: a tool is put in place by a rename.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tools.families import BINARIES, CONTROL_PLANE, FILES, ROOT, Binary, Files
from zoo.packages import cache_directory

BUILD_FLAGS: Final = ("-trimpath", "-buildvcs=false", "-mod=readonly")
STRIP: Final = "-s -w"


class ToolMissing(Exception):
    """A tool has not been built, or the folder that was named does not hold it."""


def tools_directory(environ: Mapping[str, str]) -> Path:
    """Where tools are kept: `KSERVE_VISION_TOOLS`, or `tools` in the project's cache folder."""
    if chosen := environ.get("KSERVE_VISION_TOOLS"):
        return Path(chosen).expanduser().absolute()
    return cache_directory(environ) / "tools"


def assets_directory(environ: Mapping[str, str]) -> Path | None:
    """The folder with a control plane's binaries that the user has set, the way of envtest."""
    chosen = environ.get("KUBEBUILDER_ASSETS")
    return Path(chosen).expanduser().absolute() if chosen else None


def version_of(family: str, module: str) -> str:
    """The version of a module that a family's `go.mod` asks for."""
    found = re.search(rf"^\s*(?:require )?{re.escape(module)} (v\S+)", _read(family, "go.mod"), re.MULTILINE)
    if found is None:
        raise LookupError(f"tools/{family}/go.mod does not require {module}")
    return found[1]


def linker_flags(binary: Binary) -> str:
    """The linker's flags, with the version filled in."""
    version = version_of(binary.family, binary.module)
    major, minor = version.removeprefix("v").split(".")[:2]
    return f"{STRIP} {binary.stamp.format(version=version, major=major, minor=minor)}".strip()


def binary_path(binary: Binary, directory: Path) -> Path:
    """Where a program lies, or would."""
    sources = [_read(binary.family, name) for name in ("go.mod", "go.sum", *binary.sources)]
    parts = [*sources, binary.package, linker_flags(binary), *BUILD_FLAGS, platform.system(), platform.machine()]
    version = version_of(binary.family, binary.module)
    return directory / f"{binary.name}-{version}-{_digest(parts)}" / binary.name


def files_path(files: Files, directory: Path) -> Path:
    """Where a module's folders lie, or would."""
    version = files.version or version_of(files.family, files.module)
    checksum = files.sum or _read(files.family, "go.sum")
    return directory / f"{files.name}-{version}-{_digest([checksum, *files.folders])}"


def located(name: str, environ: Mapping[str, str] = os.environ) -> Path:
    """Return the path of a tool, or of a module's folders.

    Raises:
        ToolMissing: it has not been built (`make cluster-tools`), or `KUBEBUILDER_ASSETS` does not hold it.
    """
    assets = assets_directory(environ)
    if assets is not None and name in CONTROL_PLANE:
        return _existing(assets / name, "KUBEBUILDER_ASSETS is set, and its folder has no such file")
    directory = tools_directory(environ)
    path = binary_path(BINARIES[name], directory) if name in BINARIES else files_path(FILES[name], directory)
    return _existing(path, "not built yet: make cluster-tools")


def _existing(path: Path, otherwise: str) -> Path:
    if not path.exists():
        raise ToolMissing(f"{path}: {otherwise}")
    return path


def _read(family: str, name: str) -> str:
    return (ROOT / family / name).read_text()


def _digest(parts: list[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]
