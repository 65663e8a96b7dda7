"""What the schemas of earlier releases of KServe take; their webhooks are not here."""

from __future__ import annotations

from tests.cluster.cluster import Cluster
from tests.cluster.examples import canary, inference_service, predictor, stored
from tests.cluster.refusal import Refuser

STORED = stored("s3://models/demo")


def test_the_smallest_one_is_taken(earlier: Cluster) -> None:
    assert earlier.refusal(inference_service(predictor()), earlier.namespace()) is None


def test_a_canary_percentage_is_taken(earlier: Cluster) -> None:
    assert earlier.refusal(inference_service(predictor(canaryTrafficPercent=10)), earlier.namespace()) is None


def test_a_canary_of_standard_mode_is_an_unknown_field(earlier: Cluster) -> None:
    refused = earlier.refusal(inference_service(predictor(STORED), canary=[canary(10)]), earlier.namespace())
    assert refused is not None
    assert refused.by is Refuser.SCHEMA
    assert ".spec.canary: field not declared in schema" in refused.message


def test_a_missing_predictor_is_refused_by_the_schema(earlier: Cluster) -> None:
    refused = earlier.refusal(inference_service(), earlier.namespace())
    assert refused is not None
    assert "spec.predictor: Required value" in refused.message
