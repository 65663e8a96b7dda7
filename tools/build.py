"""Building the tools with the user's own Go, and taking folders out of Go modules, where they are not there yet."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from tools.cache import BUILD_FLAGS, assets_directory, binary_path, files_path, linker_flags, located, tools_directory
from tools.cache import version_of as version_in
from tools.families import BINARIES, CONTROL_PLANE, FILES, ROOT, Binary, Files

REPORT_EVERY_S: Final = 15.0
COMPILERS_MEMORY: Final = "200"
"""GOGC of the compilers, which end soon: fewer collections, for some memory more."""


class BuildFailed(Exception):
    """Go refused; the message holds its own words."""


def provide(names: tuple[str, ...], environ: Mapping[str, str] = os.environ) -> None:
    """Build or fetch what is missing of `names`, and say what is done.

    Raises:
        BuildFailed: Go is missing, too old, or could not download or build a module.
        ToolMissing: `KUBEBUILDER_ASSETS` is set, and lacks one of them.
    """
    directory = tools_directory(environ)
    directory.mkdir(parents=True, exist_ok=True)
    with _alone(directory):
        for name in names:
            if name in CONTROL_PLANE and assets_directory(environ) is not None:
                _say(f"{name}: {located(name, environ)}, from KUBEBUILDER_ASSETS")
            elif name in BINARIES:
                _provide_binary(BINARIES[name], directory)
            else:
                _provide_files(FILES[name], directory)


def _provide_binary(binary: Binary, directory: Path) -> None:
    path = binary_path(binary, directory)
    if path.exists():
        return
    _check_go(binary.family)
    started = time.monotonic()
    label = f"{binary.name} {version_in(binary.family, binary.module)}"
    _say(f"{label}: building ...")
    with _scratch(directory) as scratch:
        package = "." if binary.sources else f"{binary.module}/{binary.package}".rstrip("/")
        flags = [*BUILD_FLAGS, "-ldflags", linker_flags(binary), "-v", "-o", str(scratch / "new" / binary.name)]
        _go_with_progress(label, ["build", *flags, package], ROOT / binary.family)
        (scratch / "new").rename(path.parent)
    _say(f"{label}: built in {time.monotonic() - started:.0f} s, {path.stat().st_size / 2**20:.0f} MiB")


def _provide_files(files: Files, directory: Path) -> None:
    path = files_path(files, directory)
    if path.exists():
        return
    _say(f"{files.name}: downloading {files.module} ...")
    with _scratch(directory) as scratch:
        module = _downloaded(files, scratch)
        for folder in files.folders:
            shutil.copytree(module / folder, scratch / "new" / folder, copy_function=shutil.copyfile)
        _make_writable(scratch / "new")
        (scratch / "new").rename(path)


def _downloaded(files: Files, scratch: Path) -> Path:
    """Have Go download a module, which checks its hash, and return the folder it unpacked it in."""
    where = ROOT / files.family if files.family else scratch
    answer = _go(["mod", "download", "-json", f"{files.module}@{files.version}".rstrip("@")], where)
    said = json.loads(answer)
    if files.sum and said["Sum"] != files.sum:
        raise BuildFailed(f"{files.module} {files.version} has the hash {said['Sum']}, not {files.sum}")
    return Path(said["Dir"])


def _check_go(family: str) -> None:
    """Say it in a sentence when there is no Go; one that is too old says so itself, or fetches a newer one."""
    if shutil.which("go") is None:
        wanted = re.search(r"^go (\S+)", (ROOT / family / "go.mod").read_text(), re.MULTILINE)
        raise BuildFailed(f"the tools are built from source, which needs Go {wanted[1] if wanted else ''} or newer")


def _go(arguments: list[str], where: Path) -> str:
    done = subprocess.run(["go", *arguments], cwd=where, capture_output=True, text=True, check=False)  # noqa: S603, S607
    if done.returncode:
        raise BuildFailed(f"go {' '.join(arguments)} in {where}:\n{done.stdout}{done.stderr}")
    return done.stdout


def _go_with_progress(label: str, arguments: list[str], where: Path) -> None:
    """Run Go, count the packages that it says it compiles, and show the count as it grows."""
    environ = {"GOGC": COMPILERS_MEMORY, **os.environ, "CGO_ENABLED": "0"}
    process = subprocess.Popen(  # noqa: S603
        ["go", *arguments],  # noqa: S607
        cwd=where,
        env=environ,
        stderr=subprocess.PIPE,
        text=True,
    )
    lines: list[str] = []
    assert process.stderr is not None  # noqa: S101  # it is a pipe
    reader = threading.Thread(target=_gather, args=(process.stderr, lines), daemon=True)
    reader.start()
    try:
        _watch(label, process, lines)
    finally:
        process.kill()
        process.wait()
        reader.join(timeout=5)
    if process.returncode:
        raise BuildFailed(f"{label} could not be built:\n" + "".join(lines[-40:]))


def _gather(stream: IO[str], lines: list[str]) -> None:
    lines.extend(stream)


def _watch(label: str, process: subprocess.Popen[str], lines: list[str]) -> None:
    started = reported = time.monotonic()
    while True:
        try:
            process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            now = time.monotonic()
            if now - reported >= REPORT_EVERY_S:
                reported = now
                _say(f"{label}: {len(lines)} packages compiled in {now - started:.0f} s")
        else:
            return


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Hold the folder's lock: a second build waits, and then finds the work done."""
    with (directory / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _scratch(directory: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=directory, prefix=".building-") as scratch:
        (Path(scratch) / "new").mkdir()
        yield Path(scratch)


def _make_writable(folder: Path) -> None:
    """Go's module cache is read-only, and copied folders keep its modes; whoever clears the cache must be able to."""
    for each in [folder, *folder.rglob("*")]:
        if each.is_dir():
            each.chmod(0o755)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
