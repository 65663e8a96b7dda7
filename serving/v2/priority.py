"""Two levels of priority, by V2's request parameter `priority`, as Triton's clients send it.

1 is urgent: such rows go before all others and wait for no company. 0, or nothing, is ordinary.
"""

from __future__ import annotations

from typing import Final

from serving.errors import RequestInvalid
from serving.v2.message import Parameters

PRIORITY: Final = "priority"
"""The parameter."""


def is_urgent(parameters: Parameters) -> bool:
    """Return whether a request's rows go before those of others.

    Raises:
        RequestInvalid: the priority is none of 0 and 1.
    """
    level = parameters.get(PRIORITY, 0)
    if isinstance(level, bool) or level not in (0, 1):
        raise RequestInvalid(f"the parameter priority is {level!r:.40}: 1 (urgent) or 0 (ordinary) is expected")
    return level == 1
