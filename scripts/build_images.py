"""Build the container images, by buildah or else by docker.

    python scripts/build_images.py [predictor transformer edge] [--accelerator gpu] [--base IMAGE]

`--base stand-in` makes the base by scripts/stand_in_base.py, for machines that can pull none. The same sources on the
same base give the same layers, byte for byte: files are as old as the last commit, whenever they are built. The image
`storage-initializer` is KServe's, for the tests of a whole node.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stand_in_base import NoBase, stand_in

from serving.version import __version__
from tools.cache import located

ROOT: Final = Path(__file__).parent.parent
IMAGES: Final = ("predictor", "transformer", "edge")
KSERVES: Final = "storage-initializer"
ACCELERATED: Final = ("predictor", "edge")
BUILDERS: Final = ("buildah", "docker")
STAND_IN: Final = "stand-in"
EPOCH: Final = "315619200"
"""The time of all files in the images, in seconds since 1970: one that every archive can hold. Were it the commit's, a
layer that is kept from an earlier build would differ from the same one built anew."""
CONFIGURED: Final = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout", "retries")
"""What pip in the build is told of pip's configuration here."""


class NoBuilder(Exception):
    """Nothing here builds images; the message says what would."""


@dataclass(frozen=True)
class Build:
    """What to build."""

    name: str
    tag: str
    base: str | None
    accelerator: str
    fresh: bool


def main() -> int:
    """Build all that are asked for; print the name of each."""
    options = _parser().parse_args()
    try:
        builder = find_builder()
        base = stand_in() if options.base == STAND_IN else options.base
    except (NoBuilder, NoBase) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    with tempfile.TemporaryDirectory() as folder:
        secrets = lend_pip(Path(folder))
        for name in options.images or IMAGES:
            tag = _tag(options.prefix, name, options.accelerator, options.tag)
            build = Build(name, tag, base, options.accelerator, options.fresh)
            began = time.monotonic()
            code = subprocess.run(command(builder, build, secrets), cwd=ROOT, check=False).returncode  # noqa: S603
            if code != 0:
                return code
            print(f"{build.tag} built in {time.monotonic() - began:.0f} s", flush=True)
    return 0


def find_builder() -> str:
    """What builds images here.

    Raises:
        NoBuilder: nothing does.
    """
    found = next(filter(shutil.which, BUILDERS), None)
    if found is None:
        raise NoBuilder(
            f"neither {' nor '.join(BUILDERS)} is installed, and one of them builds the images: on Debian, "
            "`apt-get install buildah`"
        )
    return found


def command(builder: str, build: Build, secrets: Sequence[str]) -> list[str]:
    """The command that builds it."""
    revision = _git("describe", "--always", "--abbrev=40", "--exclude=*", "--dirty")
    arguments = {"VERSION": __version__, "REVISION": revision or "unknown", "SOURCE_DATE_EPOCH": EPOCH}
    if build.base is not None:
        arguments["BASE"] = build.base
    if build.name in ACCELERATED:
        arguments["ACCELERATOR"] = build.accelerator
    given = [f"--build-arg={key}={value}" for key, value in arguments.items()]
    common = ["--file", f"Dockerfile.{build.name}", "--tag", build.tag, *given, *secrets]
    if build.name == KSERVES:
        common[1] = f"tests/node/{common[1]}"
        common.append(f"--build-context=kserve={located('kserve-initializer')}")
    if build.fresh:
        common.append("--no-cache")
    if builder == "buildah":
        # HEALTHCHECK is no part of OCI's own format. Without layers there is nothing to begin from the next time.
        return ["buildah", "bud", "--quiet", "--layers", "--format=docker", "--isolation=chroot", "--network=host",
                f"--timestamp={EPOCH}", *common, "."]  # fmt: skip
    output = f"--output=type=docker,rewrite-timestamp=true,name={build.tag}"
    return ["docker", "buildx", "build", output, *common, "."]


def lend_pip(folder: Path) -> list[str]:
    """Write pip's configuration of this machine for the build, which sees it as a secret: no layer holds it."""
    effective = _pip_configuration()
    lines = ["[global]", *(f"{key} = {value}" for key, value in effective.items() if key in CONFIGURED)]
    secrets = []
    if certificates := effective.get("cert"):
        lines.append("cert = /run/pip-certificates.pem")
        secrets.append(f"--secret=id=pip_certificates,src={certificates}")
    configuration = folder / "pip.conf"
    configuration.write_text("\n".join([*lines, ""]))
    return [f"--secret=id=pip_configuration,src={configuration}", *secrets]


def _pip_configuration() -> dict[str, str]:
    """What pip is configured to; of what is given more than once, the environment's wins over the files'."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True, env={**os.environ}
    ).stdout
    found: dict[str, tuple[bool, str]] = {}
    for line in listed.splitlines():
        name, _, value = line.partition("=")
        section, _, key = name.strip().rpartition(".")
        from_environment = section == ":env:"
        if section in ("global", "install", ":env:") and (from_environment or not found.get(key, (False, ""))[0]):
            found[key] = (from_environment, value.strip("'\""))
    return {key: value.replace("\\n", "\n  ") for key, (_, value) in found.items()}


def _git(*arguments: str) -> str:
    """What git says of this checkout; nothing where there is none."""
    if shutil.which("git") is None:
        return ""
    said = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603, S607
    return said.stdout.strip()


def _tag(prefix: str, name: str, accelerator: str, tag: str) -> str:
    return f"{prefix}{name}:{tag}" + ("-gpu" if name in ACCELERATED and accelerator == "gpu" else "")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Build the container images, by buildah or else by docker.")
    parser.add_argument(
        "images", nargs="*", metavar="IMAGE", choices=[*IMAGES, KSERVES, []], help=f"of {', '.join(IMAGES)}: all"
    )
    parser.add_argument(
        "--accelerator", choices=["cpu", "gpu"], default="cpu", help="of the predictor and the edge (cpu)"
    )
    parser.add_argument(
        "--base", help=f"the base image (the Dockerfile's); `{STAND_IN}` makes one of Debian's packages"
    )
    parser.add_argument("--prefix", default="localhost/kserve-vision-", help="what the names begin with")
    parser.add_argument("--tag", default="dev", help="(dev)")
    parser.add_argument("--fresh", action="store_true", help="do not begin from layers of earlier builds")
    return parser


if __name__ == "__main__":
    sys.exit(main())
