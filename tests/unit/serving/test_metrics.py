from __future__ import annotations

import re

import pytest

from predictor.metrics import PredictorMetrics
from serving.metrics import Metrics
from serving.version import __version__

UNITS = {
    "seconds": "seconds",
    "bytes": "bytes",
    "rows": "rows|pictures",
    "requests": "requests",
    "load": "over those",
    "info": "1;",
    "ready": "1 while",
}
"""How a metric's name ends (before `_total`), and the words for its unit in the help."""


def help_texts(metrics: Metrics) -> dict[str, str]:
    text, _ = metrics.exposition("text/plain")
    return dict(re.findall(r"^# HELP (kserve_vision_\S+) (.+)$", text.decode(), re.MULTILINE))


def test_every_metric_tells_its_unit() -> None:
    helps = help_texts(PredictorMetrics())

    assert len(helps) >= 9
    for name, text in helps.items():
        unit = name.removesuffix("_total").rpartition("_")[2]
        assert re.search(UNITS.get(unit, "answers"), text, re.IGNORECASE), (name, text)
        assert text.endswith(".")


def test_every_measured_time_tells_where_it_begins_and_ends() -> None:
    for name, text in help_texts(PredictorMetrics()).items():
        if name.endswith("_seconds"):
            assert re.search("from .* to |until", text), (name, text)


def test_two_servers_in_one_process_do_not_share_counters() -> None:
    one, other = PredictorMetrics(), Metrics("transformer")
    one.requests.labels("m", "1", "http", "OK").inc()

    labels = {"model": "m", "version": "1", "protocol": "http", "code": "OK"}
    assert one.registry.get_sample_value("kserve_vision_requests_total", labels) == 1
    assert other.registry.get_sample_value("kserve_vision_requests_total", labels) is None


def test_the_version_is_a_label() -> None:
    labels = {"server": "predictor", "version": __version__}

    assert PredictorMetrics().registry.get_sample_value("kserve_vision_info", labels) == 1


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", "text/plain"),
        ("text/plain;version=0.0.4", "text/plain"),
        ("application/openmetrics-text; version=1.0.0", "application/openmetrics-text"),
    ],
)
def test_the_form_is_the_one_that_was_asked_for(accept: str, content_type: str) -> None:
    body, given = PredictorMetrics().exposition(accept)

    assert given.startswith(content_type)
    assert body.endswith(b"# EOF\n") == ("openmetrics" in given)
