"""Compile requirements/*.txt from pyproject.toml: pinned, with hashes, for every platform, naming no index.

The files that follow are held to the versions of the first, so that a virtual environment can hold them all.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
FILES = {
    "dev": ["--extra=cpu", "--extra=dev"],
    "transformer": [],
    "predictor-cpu": ["--extra=cpu"],
    "predictor-openvino": ["--extra=cpu", "--extra=openvino"],
    "predictor-gpu": ["--extra=gpu"],
    "build": [],
    "image-tools": [],
    "image-tests": [],
    "node-tests": [],
    "storage-initializer": [],
}
SOURCES = {
    "build": ["--group=build"],
    "image-tools": ["requirements/image-tools.in"],
    "image-tests": ["requirements/image-tests.in"],
    "node-tests": ["requirements/node-tests.in"],
    "storage-initializer": ["requirements/storage-initializer.in"],
}
"""What is not for the servers; all else is declared as the package's own dependencies."""


def main() -> int:
    """Compile all files."""
    for name, extras in FILES.items():
        path = f"requirements/{name}.txt"
        constraint = [] if name == "dev" else ["--constraint=requirements/dev.txt"]
        source = SOURCES.get(name, ["pyproject.toml", *extras])
        command = [
            sys.executable, "-m", "uv", "pip", "compile", *source, *constraint, f"--output-file={path}", "--universal",
            "--python-version=3.11", "--generate-hashes", "--no-header", "--quiet",
            "--no-emit-index-url", *sys.argv[1:],
        ]  # fmt: skip
        print(f"{path} ...", flush=True)
        subprocess.run(command, cwd=ROOT, check=True)  # noqa: S603
    return 0


if __name__ == "__main__":
    sys.exit(main())
