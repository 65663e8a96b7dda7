"""What is left behind, and seen meanwhile, of the import of the KServe SDK."""

from __future__ import annotations

import subprocess
import sys

ASKING = """
import importlib.util, sys

class Asks:
    def find_spec(self, name, path=None, target=None):
        if name == "kserve.model":
            print(importlib.util.find_spec("pandas").name)

sys.meta_path.insert(0, Asks())
import serving.sdk
print("pandas" in sys.modules)
"""


def test_whoever_looks_for_pandas_while_the_sdk_is_imported_finds_it_and_nothing_stays() -> None:
    done = subprocess.run([sys.executable, "-c", ASKING], check=True, capture_output=True, text=True, timeout=120)

    assert done.stdout.split() == ["pandas", "False"]
