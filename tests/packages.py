"""The packages that the zoo's models come from."""

from __future__ import annotations

import os
import shutil

import pytest

from zoo import RECIPES
from zoo.packages import cache_directory


def skip_without_client(name: str) -> None:
    """Skip where the model's package needs npm, which not every machine has, and is not in the cache either."""
    package = RECIPES[name].package
    archive = cache_directory(os.environ) / "packages" / package.filename
    if package.index == "npm" and shutil.which("npm") is None and not archive.is_file():
        pytest.skip("npm is not installed")
