"""Differences are told by their places."""

from __future__ import annotations

import pytest

from rollout.difference import differences, unified


@pytest.mark.parametrize(
    ("expected", "found", "lines"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": {"b": 1}}, {"a": {"b": 2}}, ["a.b: 1 -> 2"]),
        ({}, {"a": None}, ["a: (absent) -> null"]),
        ({"a": 1}, {}, ["a: 1 -> (absent)"]),
        ({"a": [{"b": 1}, 2]}, {"a": [{"b": 3}, 2]}, ["a[0].b: 1 -> 3"]),
        ({"a": [1]}, {"a": [1, 2]}, ["a: [1] -> [1, 2]"]),
        ({"a": True}, {"a": "true"}, ['a: true -> "true"']),
    ],
)
def test_each_place_is_a_line(expected: object, found: object, lines: list[str]) -> None:
    assert list(differences(expected, found)) == lines


def test_what_would_steer_a_terminal_is_quoted_and_long_values_are_cut() -> None:
    (line,) = differences({"a": "x"}, {"a": "\x1b[31m" + "y " * 1000})
    assert "\x1b" not in line
    assert len(line) < 200


def test_a_unified_difference_shows_what_goes_and_comes_and_little_around_it() -> None:
    before = {"predictor": {"minReplicas": 1, "model": {"runtime": "r", "storageUri": "s3://m/1"}, "z": list(range(9))}}
    after = {"predictor": before["predictor"] | {"model": {"runtime": "r", "storageUri": "s3://m/2"}}}
    assert unified(before, after) == (
        "@@ -3,5 +3,5 @@",
        "   model:",
        "     runtime: r",
        "-    storageUri: s3://m/1",
        "+    storageUri: s3://m/2",
        "   z:",
        "   - 0",
    )
    assert unified(before, before) == ()
