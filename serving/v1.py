"""V1's request: `{"instances": [...]}`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from serving.admission import check_rows
from serving.errors import RequestInvalid


def read_instances(payload: Mapping[str, Any], wanted: str, max_rows: int) -> list[Any]:
    """Return the instances of a payload; `wanted` says what one of them is, for the error.

    Raises:
        RequestInvalid: they are missing, no list, or none.
        RequestTooLarge: there are more than `max_rows`.
    """
    instances = payload.get("instances")
    if not isinstance(instances, list) or not instances:
        raise RequestInvalid(f'"instances" must be a list with at least one {wanted}')
    check_rows(len(instances), max_rows)
    return instances
