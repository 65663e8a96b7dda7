"""Leave in a virtual environment what one server imports, and compile that. Runs while an image is built.

    python trim.py ENVIRONMENT SERVER

Everything was installed from hash-pinned requirements, which serve the command line and both servers, and hold all
that the KServe SDK declares. A distribution stays if the server's packages import it, or if something that stays
requires it. Then what only tests need goes, and the rest is compiled.

The same files come out of the same input: bytecode is bound to nothing, neither to a time nor to a place on the disk.
"""

from __future__ import annotations

import py_compile
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

SERVING: Final = frozenset({
    "fastapi", "grpcio", "httptools", "kserve", "numpy", "orjson", "prometheus-client", "protobuf", "pydantic",
    "pydantic-settings", "python-multipart", "pyyaml", "starlette", "structlog", "typing-extensions", "uvicorn",
    "uvloop",
})  # fmt: skip
TRANSFORMER: Final = frozenset({"contourpy", "pillow"})
PREDICTOR: Final = frozenset({"nvidia-ml-py", "onnx", "onnxruntime", "onnxruntime-gpu[cuda,cudnn]"})
"""Of these, what is installed: it depends on the accelerator."""
IMPORTED: Final = {
    "predictor": SERVING | PREDICTOR,
    "transformer": SERVING | TRANSFORMER,
    "edge": SERVING | TRANSFORMER | PREDICTOR,
}

NOT_IMPORTED: Final = frozenset({
    "aiohttp", "aiohttp-retry", "cryptography", "grpcio-tools", "pandas", "pillow", "pyasn1", "pyjwt",
})  # fmt: skip
"""What the KServe SDK and its Kubernetes client declare and no server imports: data frames, a code generator, a second
client for asyncio, and floors against old versions of what the SDK does not import itself. 130 MB, and most of what is
reported as vulnerable. Pillow stays where pictures are decoded.
"""

TEST_FOLDERS: Final = ("**/tests", "onnx/backend/test", "onnx/test")
SECOND_CLIENT: Final = "kubernetes/aio"
"""The Kubernetes client once more, for asyncio: as large as the first, which the SDK imports."""
RARELY_IMPORTED: Final = "kubernetes/client"
"""Modules by the hundred, each imported when it is first asked for; no server asks. They stay without bytecode."""


def main() -> int:
    """Trim the environment."""
    environment, server = Path(sys.argv[1]), sys.argv[2]
    (site,) = environment.glob("lib/python3.*/site-packages")
    installed = {canonicalize_name(each.name): each for each in distributions(path=[str(site)])}
    kept = closure(IMPORTED[server], installed)
    for name in sorted(installed.keys() - kept):
        remove(installed[name], site)
    for folder in [found for pattern in (*TEST_FOLDERS, SECOND_CLIENT) for found in site.glob(pattern)]:
        shutil.rmtree(folder)
    remove_commands(environment / "bin")
    compile_modules(site)
    return 0


def closure(roots: Iterable[str], installed: Mapping[NormalizedName, Distribution]) -> set[NormalizedName]:
    """The names of the distributions that stay."""
    kept: set[NormalizedName] = set()
    seen: set[str] = set()
    todo = list(roots)
    while todo:
        requirement = Requirement(todo.pop())
        name = canonicalize_name(requirement.name)
        if str(requirement) in seen or name not in installed:
            continue
        seen.add(str(requirement))
        kept.add(name)
        todo.extend(required(installed[name], requirement.extras))
    return kept


def required(distribution: Distribution, extras: Iterable[str]) -> Iterator[str]:
    """What it requires here with these extras, but for what is not imported."""
    for line in distribution.requires or ():
        requirement = Requirement(line)
        if canonicalize_name(requirement.name) in NOT_IMPORTED:
            continue
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            wanted = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
            yield f"{requirement.name}{wanted}"


def remove(distribution: Distribution, site: Path) -> None:
    """Remove its files, and the folders that are empty then."""
    folders: set[Path] = set()
    for file in distribution.files or ():
        path = Path(str(distribution.locate_file(file))).resolve()
        path.unlink(missing_ok=True)
        folders.update(parent for parent in path.parents if site in parent.parents)
    for folder in sorted(folders, key=lambda each: len(each.parts), reverse=True):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def remove_commands(folder: Path) -> None:
    """Remove the commands of the packages, and what is for shells: a server is started by its interpreter."""
    for path in folder.iterdir():
        if not path.name.startswith("python"):
            path.unlink()


def compile_modules(site: Path) -> None:
    """Write bytecode that is not checked against its source, since neither changes in an image."""
    for path in sorted(site.rglob("*.py")):
        is_asked_for = path.name == "__init__.py" or path.parent == site / RARELY_IMPORTED
        if path.is_relative_to(site / RARELY_IMPORTED) and not is_asked_for:
            continue
        shown = str(path)
        try:
            py_compile.compile(
                shown, doraise=True, quiet=1, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH
            )
        except py_compile.PyCompileError:
            sys.stderr.write(f"{shown} is for another Python, and stays as it is\n")


if __name__ == "__main__":
    sys.exit(main())
