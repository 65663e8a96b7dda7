"""The mark of this folder's tests."""

from __future__ import annotations

from typing import Literal

import pytest

Side = Literal["ours", "plain"]


def trap(why: str) -> pytest.MarkDecorator:
    """Run a test on our side, and on the plain SDK's, where an assertion must fail as long as `why` is true.

    Only an AssertionError is expected there: a server that does not start, or a request that nobody answers, is an
    error on both sides.
    """
    plain = pytest.param("plain", marks=pytest.mark.xfail(strict=True, raises=AssertionError, reason=why))
    return pytest.mark.parametrize("side", ["ours", plain])


both_sides = pytest.mark.parametrize("side", ["ours", "plain"])
"""Run a test on both sides, which both pass: the control that shows the plain servers to be set up fairly."""
