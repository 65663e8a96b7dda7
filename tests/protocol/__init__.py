"""A black-box suite of the Open Inference Protocol v2 that can be pointed at any server. `README.md` says how."""

import pytest

# So that a failure in the shared checks shows what was compared.
pytest.register_assert_rewrite(*(f"{__name__}.{module}" for module in ("answers", "rest", "rpc", "tensors")))
