"""What is in the container images: the size of each, and of each package in it, as tables in Markdown.

    python scripts/image_contents.py IMAGE ...

The sizes are of the files, uncompressed; a package's bytecode counts to it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import Final

PYTHON: Final = "/opt/kserve-vision/bin/python"
MB: Final = 1_000_000
LEAST_SHOWN_MB: Final = 1.0

INSIDE: Final = """
import json
from importlib.metadata import distributions
from pathlib import Path
site = next(Path("/opt/kserve-vision/lib").glob("python3.*/site-packages"))
sizes, counted = {}, set()
for found in distributions(path=[str(site)]):
    for file in found.files or ():
        path = Path(found.locate_file(file))
        compiled = path.parent / "__pycache__"
        for each in (path, *compiled.glob(path.stem + ".cpython-*.pyc")) if path.suffix == ".py" else (path,):
            if each.is_file() and each not in counted:
                counted.add(each)
                key = found.name + " " + found.version
                sizes[key] = sizes.get(key, 0) + each.stat().st_size
rest = (path for path in Path("/opt/kserve-vision").rglob("*") if path.is_file() and not path.is_symlink())
sizes["kserve-vision, and the environment itself"] = sum(path.stat().st_size for path in rest if path not in counted)
print(json.dumps(sizes))
"""
"""What measures, by the image's own Python: a container that is not running can be read by no other means that every
tool has.
"""


@dataclass(frozen=True)
class Contents:
    """The bytes of an image."""

    image: str
    whole: int
    packages: dict[str, int]

    def table(self) -> str:
        """A table of what takes most."""
        largest = sorted(self.packages.items(), key=lambda item: item[1], reverse=True)
        shown = [(name, size) for name, size in largest if size >= LEAST_SHOWN_MB * MB]
        small = [size for _, size in largest[len(shown) :]]
        rows = [
            ("the base: Debian and Python", self.whole - sum(self.packages.values())),
            *shown,
            (f"{len(small)} more", sum(small)),
            ("**the image**", self.whole),
        ]
        head = [f"`{self.image}`", "", "| what | MB |", "|---|---:|"]
        return "\n".join([*head, *(f"| {name} | {size / MB:.1f} |" for name, size in rows)])


def main() -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="What is in the container images, and how large it is.")
    parser.add_argument("images", nargs="+", metavar="IMAGE")
    for image in parser.parse_args().images:
        print(contents(image).table(), end="\n\n")
    return 0


def contents(image: str) -> Contents:
    """Look into an image."""
    tool = ["podman"] if shutil.which("podman") else ["docker"]
    runtime = ["--runtime=runc"] if tool == ["podman"] and shutil.which("runc") else []
    whole = int(_output([*tool, "image", "inspect", "--format={{.Size}}", image]))
    limits = ["--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024", "--network=host", "--no-healthcheck"]
    ran = _output([*tool, *runtime, "run", "--rm", *limits, f"--entrypoint={PYTHON}", image, "-I", "-c", INSIDE])
    return Contents(image, whole, json.loads(ran))


def _output(command: list[str]) -> str:
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout  # noqa: S603


if __name__ == "__main__":
    sys.exit(main())
