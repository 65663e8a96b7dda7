"""What the charts say of themselves: every value is documented, in the schema, and in the table of its page."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from serving.version import __version__
from tests.cluster.charts_releases import CHARTS, MODEL, PLATFORM, ROOT

BOTH = pytest.mark.parametrize("chart", [MODEL, PLATFORM], ids=lambda chart: chart.name)


def _defaults(chart: Path) -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load((chart / "values.yaml").read_text())
    return values


def _schema(chart: Path) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads((chart / "values.schema.json").read_text())
    return schema


@pytest.mark.parametrize("script", ["generate_chart_runtimes.py", "generate_chart_tables.py"])
def test_what_is_generated_is_current(script: str) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / script, "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@BOTH
def test_every_default_has_its_place_in_the_schema(chart: Path) -> None:
    schema = _schema(chart)
    missing = [path for path in _paths(_defaults(chart)) if not _knows(schema, path)]
    assert missing == []


@BOTH
def test_every_property_of_the_schema_has_a_default(chart: Path) -> None:
    defaults = set(_paths(_defaults(chart)))
    parents = {path[:length] for path in defaults for length in range(1, len(path) + 1)}
    missing = [path for path in _properties(_schema(chart)) if path not in parents and path != ("global",)]
    assert missing == []


@BOTH
def test_no_part_of_the_schema_takes_names_that_it_does_not_know(chart: Path) -> None:
    """Kubernetes' own objects, and mappings of a user's own names, are left to the API server."""
    open_parts = [
        path
        for path, part in _objects(_schema(chart))
        if "properties" in part and part.get("additionalProperties") is not False
    ]
    assert open_parts == []


@BOTH
def test_the_app_version_is_the_projects(chart: Path) -> None:
    told = yaml.safe_load((chart / "Chart.yaml").read_text())
    assert told["appVersion"] == re.sub(r"\.dev\d+$", "", __version__)


def test_both_charts_are_released_together() -> None:
    versions = {yaml.safe_load(each.read_text())["version"] for each in CHARTS.glob("*/Chart.yaml")}
    assert len(versions) == 1


def _paths(values: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(values, dict) and values:
        for key, value in values.items():
            yield from _paths(value, (*path, key))
    else:
        yield path


def _knows(schema: dict[str, Any], path: tuple[str, ...]) -> bool:
    part = schema
    for key in path:
        part = _resolved(schema, part)
        if key not in part.get("properties", {}):
            return "properties" not in part and part.get("type") == "object"
        part = part["properties"][key]
    return True


def _resolved(schema: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in part:
        return part
    definition: dict[str, Any] = schema["definitions"][part["$ref"].rpartition("/")[2]]
    return definition


def _properties(schema: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, part in schema.get("properties", {}).items():
        yield (*path, key)
        yield from _properties(part, (*path, key))


def _objects(part: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(part, dict):
        if part.get("type") == "object":
            yield path, part
        for key, value in part.items():
            yield from _objects(value, f"{path}/{key}")
