"""The same sources give the same layers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from .containers import image_inspect, image_of

ROOT = Path(__file__).parents[2]


def test_an_image_that_is_built_again_from_nothing_has_the_same_layers() -> None:
    """The one that holds all that the others do."""
    flags = ["--base=stand-in", "--fresh", "--tag=again"]
    subprocess.run([sys.executable, "scripts/build_images.py", *flags, "edge"], cwd=ROOT, check=True)
    first, second = (image_inspect(image_of("edge", tag))["RootFS"]["Layers"] for tag in ("test", "again"))

    assert first == second
