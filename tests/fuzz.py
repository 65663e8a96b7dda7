"""How many examples a fuzzed test takes: few in the suite, as many as `make test-fuzz` says there."""

from __future__ import annotations

import os
from typing import Final

EXAMPLES: Final = int(os.environ.get("FUZZ_EXAMPLES", "20"))
