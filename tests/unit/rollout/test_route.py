"""What an HTTPRoute says of the split, and when it says nothing."""

from __future__ import annotations

from typing import Any

import pytest

from rollout.kinds import Manifest
from rollout.route import Route

OK = [{"type": "Accepted", "status": "True"}, {"type": "ResolvedRefs", "status": "True"}]


def _route(*rules: dict[str, int], conditions: Any = OK, generation: int = 2) -> Manifest:
    backends = [{"backendRefs": [{"name": name, "weight": weight} for name, weight in rule.items()]} for rule in rules]
    return {
        "metadata": {"name": "demo", "generation": generation},
        "spec": {"rules": backends},
        "status": {"parents": [{"conditions": conditions}]},
    }


@pytest.mark.parametrize(
    ("rules", "share"),
    [
        ([{"a": 90, "b": 10}], 10),
        ([{"a": 9, "b": 1}], 10),
        ([{"a": 1}], 0),
        ([{"a": 0, "b": 0}], 0),
        ([{"a": 90, "b": 10}, {"a": 90, "b": 10}], 10),
        ([{"a": 90, "b": 10}, {"a": 1}], None),
        ([], None),
    ],
)
def test_a_share_is_that_of_the_weights_where_all_rules_agree(rules: list[dict[str, int]], share: int | None) -> None:
    assert Route(_route(*rules)).share("b") == share


def test_a_weight_that_is_not_said_is_one() -> None:
    route = _route({"a": 1})
    del route["spec"]["rules"][0]["backendRefs"][0]["weight"]
    assert (Route(route).share("a"), Route(route).only("a")) == (100, True)


@pytest.mark.parametrize(
    ("conditions", "why"),
    [
        ([], "does not say whether HTTPRoute demo is Accepted"),
        ([{"type": "Accepted", "status": "False", "message": "no listener"}], "no listener"),
        ([{"type": "Accepted", "status": "True"}], "does not say whether HTTPRoute demo is ResolvedRefs"),
        ([{**each, "observedGeneration": 1} for each in OK], "has not looked at the latest"),
    ],
)
def test_a_route_that_no_gateway_has_taken_says_nothing(conditions: list[dict[str, Any]], why: str) -> None:
    route = Route(_route({"a": 90, "b": 10}, conditions=conditions))
    assert why in route.why_not
    assert route.share("b") is None
    assert not route.only("a")


def test_no_route_says_nothing() -> None:
    assert (Route(None).share("a"), Route(None).names("a"), Route(None).why_not) == (
        None,
        False,
        "there is no HTTPRoute",
    )
    assert "no gateway" in Route({**_route({"a": 1}), "status": {}}).why_not


def test_a_service_without_weight_is_named_still() -> None:
    assert Route(_route({"a": 100, "b": 0})).names("b")
    assert not Route(_route({"a": 100, "b": 0}, {"a": 1})).names("b")
