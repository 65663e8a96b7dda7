"""A canary by hand in Standard mode, with KServe's own controller (0.20.0), which makes pods of it and no split.

Where a test needs a split, the weights of the HTTPRoute are played as a later controller writes them
(`canaries.PlayedSplit`), and so are pods, autoscalers and gateways. What KServe makes of each write is real.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from rollout import (
    Candidate,
    NotPossible,
    NotReady,
    Phase,
    Stalled,
    Wait,
    WrongPhase,
    traffic_of,
)
from tests.cluster.canaries import (
    FIRST,
    NAME,
    SECOND,
    THIRD,
    Killed,
    Mortal,
    PlayedSplit,
    Stage,
    WithoutGatewayApi,
    api_objects,
    shares,
    stage,
)
from tests.cluster.cluster import Cluster
from tests.cluster.examples import canary, inference_service, predictor, stored
from tests.cluster.kinds import AUTOSCALER, CONFIG_MAP, DEPLOYMENT, HTTP_ROUTE, INFERENCE_SERVICE, SERVICE
from tests.cluster.manifests import Manifest

PODS = 4


def _spec(**fields: object) -> Manifest:
    return {"predictor": predictor(stored(FIRST), minReplicas=PODS, **fields)}


@pytest.fixture
def demo(standard: Cluster) -> Stage:
    """With a split, which is played."""
    return stage(standard, _spec(), PlayedSplit(api_objects(standard)))


@pytest.fixture
def plain(standard: Cluster) -> Stage:
    """As KServe 0.20.0 is."""
    return stage(standard, _spec())


@pytest.fixture
def controller(standard: Cluster) -> Iterator[None]:
    """The controller's Deployment as an installation of 0.20.0 has it; the controller itself runs elsewhere here."""
    labels = {"control-plane": "kserve-controller-manager"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [_manager("kserve/kserve-controller:v0.20.0")]}}
    metadata = {"name": "kserve-controller-manager", "namespace": "kserve"}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    standard.apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}, "kserve")
    yield
    standard.delete(DEPLOYMENT, "kserve-controller-manager", "kserve")


def _manager(image: str) -> Manifest:
    return {"name": "manager", "image": image}


def _record(demo: Stage) -> Manifest | None:
    return demo.cluster.get(CONFIG_MAP, "demo-canary", demo.namespace)


def _untouched(demo: Stage, before: Manifest) -> bool:
    return demo.service()["spec"] == before["spec"] and _record(demo) is None


def _names(demo: Stage, kind: object = DEPLOYMENT) -> list[str]:
    return sorted(each["metadata"]["name"] for each in demo.cluster.objects(kind, demo.namespace))  # type: ignore[arg-type]


def _fewest(demo: Stage) -> dict[str, int]:
    found = demo.cluster.objects(AUTOSCALER, demo.namespace)
    return {each["metadata"]["name"]: each["spec"]["minReplicas"] for each in found}


def test_a_canary_is_started_set_and_promoted(demo: Stage) -> None:
    demo.start(percent=30)
    observed = demo.read()
    assert (observed.phase, observed.wished, shares(observed)) == (Phase.RUNNING, 30, (70, 30))
    assert (observed.stable.uri, observed.candidate and observed.candidate.uri) == (FIRST, SECOND)
    assert _fewest(demo) == {"demo-predictor": PODS, "demo-v2-predictor": 2}
    demo.run(lambda traffic: traffic.set_percent(60))
    assert shares(demo.read()) == (40, 60)
    assert _fewest(demo) == {"demo-predictor": PODS, "demo-v2-predictor": 3}
    demo.run(lambda traffic: traffic.promote())
    observed = demo.read()
    assert (observed.phase, observed.stable.uri, shares(observed)) == (Phase.NONE, SECOND, (100, None))
    promoted = demo.service()["spec"]
    assert promoted == {"predictor": predictor(stored(SECOND, **_resources(promoted)), name="v2", minReplicas=PODS)}
    assert _names(demo) == ["demo-v2-predictor"]
    assert _names(demo, HTTP_ROUTE) == ["demo", "demo-v2-predictor"]
    assert _names(demo, AUTOSCALER) == ["demo-v2-predictor"]
    assert _record(demo) is None


def _resources(spec: Manifest) -> Manifest:
    """What KServe's defaults add to a container."""
    return {"resources": spec["predictor"]["containers"][0]["resources"]}


def test_a_candidate_gets_nothing_before_its_pods_are_up(demo: Stage) -> None:
    traffic = demo.traffic()
    for _ in range(2):
        demo.take(lambda each: each.start(Candidate(SECOND, 30)))
    demo.cluster.wait_for(DEPLOYMENT, "demo-v2-predictor", demo.namespace)
    assert [each["trafficPercent"] for each in demo.service()["spec"]["canary"]] == [0]
    step = traffic.start(Candidate(SECOND, 30))
    assert step.waits is not None
    observed = demo.read()
    assert observed.candidate is not None
    assert (observed.candidate.percent, observed.candidate.ready) == (0, False)
    with pytest.raises(NotReady, match="not ready"):
        traffic.promote()


def test_before_it_is_promoted_a_candidate_is_as_large_as_the_stable_version_which_keeps_its_size(demo: Stage) -> None:
    demo.start(percent=10)
    traffic = demo.traffic()
    demo.take(lambda each: each.promote())
    demo.cluster.until(
        lambda: _fewest(demo) == {"demo-predictor": PODS, "demo-v2-predictor": PODS}, "they have not the same size"
    )
    assert demo.read().phase is Phase.RUNNING
    assert traffic.promote().waits is not None
    assert shares(demo.read()) == (90, 10)


def test_an_abort_restores_the_spec(demo: Stage) -> None:
    before = demo.service()
    demo.start(percent=30)
    demo.run(lambda traffic: traffic.abort())
    after = demo.service()
    assert after["spec"] == before["spec"]
    assert after["metadata"].get("annotations") == before["metadata"].get("annotations")
    assert (_names(demo), _names(demo, AUTOSCALER)) == (["demo-predictor"], ["demo-predictor"])
    assert demo.cluster.get(SERVICE, "demo-v2-predictor", demo.namespace) is None
    assert (demo.read().phase, _record(demo)) == (Phase.NONE, None)


def test_a_start_and_an_abort_do_not_restart_the_stable_pods(demo: Stage) -> None:
    def template() -> Manifest:
        found: Manifest = demo.cluster.wait_for(DEPLOYMENT, "demo-predictor", demo.namespace)["spec"]["template"]
        return found

    before = template()
    demo.start(percent=30)
    assert template() == before
    demo.run(lambda traffic: traffic.abort())
    assert template() == before


def test_a_promotion_that_began_can_be_aborted(demo: Stage) -> None:
    before = demo.service()
    demo.start(percent=30)
    with pytest.raises(Killed):
        demo.run(lambda traffic: traffic.promote(), Mortal(demo.objects, 2))
    assert demo.read().wished == 100
    demo.run(lambda traffic: traffic.abort())
    assert demo.service()["spec"] == before["spec"]


@pytest.mark.usefixtures("controller")
def test_where_kserve_is_known_to_make_no_split_nothing_is_written(plain: Stage) -> None:
    before = plain.service()
    with pytest.raises(NotPossible, match=r"KServe 0\.20\.0 splits no traffic in Standard mode"):
        plain.start(percent=10)
    assert _untouched(plain, before)
    assert _names(plain) == ["demo-predictor"]


def test_where_kserve_makes_no_split_and_nobody_knew_the_start_stalls_and_can_be_aborted(plain: Stage) -> None:
    before = plain.service()
    plain.limits[Wait.ROUTE] = 2.0
    with pytest.raises(Stalled, match="has not put demo-v2-predictor into HTTPRoute demo") as stalled:
        plain.start(percent=10)
    assert stalled.value.waits == Wait.ROUTE
    assert [each["trafficPercent"] for each in plain.service()["spec"]["canary"]] == [0]
    assert "gets no traffic" in "\n".join(plain.read().notes)
    plain.run(lambda traffic: traffic.abort())
    assert _untouched(plain, before)
    assert (_names(plain), _names(plain, AUTOSCALER)) == (["demo-predictor"], ["demo-predictor"])


def test_without_gateway_api_nothing_is_written(plain: Stage) -> None:
    before = plain.service()
    with pytest.raises(NotPossible, match="Gateway API is off"):
        plain.start(percent=10, objects=WithoutGatewayApi(plain.objects))
    assert _untouched(plain, before)


def test_a_transformer_of_its_own_is_refused(standard: Cluster) -> None:
    plain = stage(standard, _spec() | {"transformer": predictor()}, PlayedSplit(api_objects(standard)))
    before = plain.service()
    with pytest.raises(NotPossible, match="a transformer in pods of its own"):
        plain.start(percent=10)
    assert _untouched(plain, before)


def test_a_percentage_that_kserve_ignores_is_refused(demo: Stage) -> None:
    demo.edit({"spec": {"predictor": {"canaryTrafficPercent": 10}}})
    assert "KServe ignores" in demo.read().notes[0]
    with pytest.raises(NotPossible, match="KServe ignores in Standard mode"):
        demo.start(percent=10)
    assert _record(demo) is None


def test_a_canary_that_somebody_made_by_hand_is_left_alone(demo: Stage) -> None:
    demo.edit({"spec": {"canary": [canary(10, stored(SECOND))]}})
    with pytest.raises(WrongPhase, match="kserve-vision did not start"):
        demo.start(THIRD)
    assert _record(demo) is None


def test_a_version_can_be_named(demo: Stage) -> None:
    demo.start(percent=10, name="better")
    assert "demo-better-predictor" in _names(demo)
    demo.run(lambda traffic: traffic.promote())
    assert _names(demo) == ["demo-better-predictor"]
    with pytest.raises(NotPossible, match="is called better already"):
        demo.start(THIRD, name="better")


def test_a_promotion_despite_edits_keeps_them(demo: Stage) -> None:
    demo.start(percent=10)
    demo.edit({"spec": {"predictor": {"timeout": 30}}})
    demo.settle()
    demo.run(lambda traffic: traffic.promote(despite_edits=True))
    after = demo.service()["spec"]["predictor"]
    assert (after["timeout"], after["name"], after["minReplicas"]) == (30, "v2", PODS)
    assert (demo.read().phase, _record(demo)) == (Phase.NONE, None)


@pytest.mark.parametrize(
    "edited",
    [{"minReplicas": 8}, {"maxReplicas": 7}, {"minReplicas": 5, "maxReplicas": 20}],
    ids=["min", "max", "both"],
)
@pytest.mark.parametrize("writes", [0, 1, 2])
def test_a_promotion_despite_edits_keeps_the_edited_number_of_pods(
    demo: Stage, edited: dict[str, int], writes: int
) -> None:
    demo.start(percent=30)
    demo.edit({"spec": {"predictor": edited}})
    demo.settle()
    if writes:
        with pytest.raises(Killed):
            demo.run(lambda traffic: traffic.promote(despite_edits=True), Mortal(demo.objects, writes))
    demo.run(lambda traffic: traffic.promote(despite_edits=True))
    after = demo.service()["spec"]["predictor"]
    assert {key: after[key] for key in ("minReplicas", "maxReplicas") if key in after} == {"minReplicas": PODS} | edited
    assert (demo.read().phase, demo.read().stable.uri, _record(demo)) == (Phase.NONE, SECOND, None)


@pytest.mark.parametrize("writes", [1, 2, 3])
def test_a_start_that_was_killed_is_finished_by_the_next(demo: Stage, writes: int) -> None:
    with pytest.raises(Killed):
        demo.start(percent=30, objects=Mortal(demo.objects, writes))
    demo.start(percent=30)
    assert shares(demo.read()) == (70, 30)


@pytest.mark.parametrize("writes", [1, 2, 3, 4, 5])
def test_a_promotion_that_was_killed_is_finished_by_the_next(demo: Stage, writes: int) -> None:
    demo.start(percent=30)
    with pytest.raises(Killed):
        demo.run(lambda traffic: traffic.promote(), Mortal(demo.objects, writes))
    demo.run(lambda traffic: traffic.promote())
    assert demo.service()["spec"]["predictor"]["minReplicas"] == PODS
    assert (demo.read().phase, demo.read().stable.uri, _names(demo)) == (Phase.NONE, SECOND, ["demo-v2-predictor"])


@pytest.mark.parametrize("writes", [1, 2, 3])
def test_an_abort_that_was_killed_is_finished_by_the_next(demo: Stage, writes: int) -> None:
    before = demo.service()
    demo.start(percent=30)
    with pytest.raises(Killed):
        demo.run(lambda traffic: traffic.abort(), Mortal(demo.objects, writes))
    demo.run(lambda traffic: traffic.abort())
    assert _untouched(demo, before)


def test_names_are_checked(demo: Stage) -> None:
    assert demo.service()["metadata"]["name"] == NAME
    with pytest.raises(NotPossible, match="too long"):
        demo.start(name="v" * 60)


def test_a_candidate_whose_pods_would_be_anothers_is_refused(demo: Stage) -> None:
    other = inference_service(predictor(stored(THIRD), minReplicas=1), name="demo-v2")
    demo.cluster.apply(other, demo.namespace)
    demo.cluster.wait_for(DEPLOYMENT, "demo-v2-predictor", demo.namespace)
    before = demo.service()
    with pytest.raises(NotPossible, match=r"demo-v2-predictor, which is another's: .* --version-name"):
        demo.start(percent=10)
    assert _untouched(demo, before)
    demo.start(percent=10, name="better")
    demo.run(lambda traffic: traffic.abort())
    assert _names(demo) == ["demo-predictor", "demo-v2-predictor"]


def test_kserve_writes_into_pods_that_are_anothers(plain: Stage) -> None:
    """Why such a name is refused."""
    other = inference_service(predictor(stored(THIRD), minReplicas=1), name="demo-v2")
    plain.cluster.apply(other, plain.namespace)
    plain.cluster.wait_for(DEPLOYMENT, "demo-v2-predictor", plain.namespace)
    plain.edit({"spec": {"canary": [canary(10, stored(SECOND))]}})
    plain.cluster.wait_for(
        DEPLOYMENT, "demo-v2-predictor", plain.namespace, lambda each: SECOND in json.dumps(each["spec"]["template"])
    )


def test_after_a_promotion_that_was_edited_no_abort_takes_away_what_serves(demo: Stage) -> None:
    demo.start(percent=10)
    with pytest.raises(Killed):
        demo.run(lambda traffic: traffic.promote(), Mortal(demo.objects, 3))
    demo.edit({"spec": {"predictor": {"timeout": 30}}})
    with pytest.raises(WrongPhase, match="was promoted already"):
        demo.run(lambda traffic: traffic.abort(despite_edits=True))
    demo.run(lambda traffic: traffic.promote(despite_edits=True))
    assert (_names(demo), _names(demo, AUTOSCALER)) == (["demo-v2-predictor"], ["demo-v2-predictor"])
    assert (demo.service()["spec"]["predictor"]["timeout"], _record(demo)) == (30, None)


def test_the_host_of_a_version_has_its_namespace_in_its_first_label(demo: Stage) -> None:
    """Why a version's name is as short as it is."""
    demo.start(percent=10)
    demo.run(lambda traffic: traffic.promote())
    route = demo.cluster.wait_for(HTTP_ROUTE, "demo-v2-predictor", demo.namespace)
    assert f"demo-v2-predictor-{demo.namespace}" in {each.split(".")[0] for each in route["spec"]["hostnames"]}


def test_an_annotation_of_the_service_restarts_its_pods(plain: Stage) -> None:
    """Why the record is not kept in one."""
    plain.edit({"metadata": {"annotations": {"example.com/record": "1"}}})
    plain.cluster.wait_for(
        DEPLOYMENT,
        "demo-predictor",
        plain.namespace,
        lambda each: "example.com/record" in each["spec"]["template"]["metadata"]["annotations"],
    )


def test_what_kserve_leaves_of_a_version_that_is_gone_is_deleted_by_name(demo: Stage) -> None:
    demo.start(percent=10)
    demo.run(lambda traffic: traffic.abort())
    assert [each for each in demo.said if "KServe leaves" in each] == [
        "delete HorizontalPodAutoscaler demo-v2-predictor, which KServe leaves of a version that is gone"
    ]
    demo.start(percent=10)
    demo.run(lambda traffic: traffic.promote())
    assert [each.split(",")[0] for each in demo.said if "KServe leaves" in each] == [
        "delete HTTPRoute demo-predictor",
        "delete HorizontalPodAutoscaler demo-predictor",
    ]


def test_a_service_that_keda_scales_has_no_canary(standard: Cluster) -> None:
    """KServe makes a ScaledObject without triggers of a candidate, and fails on it."""
    namespace = standard.namespace()
    keda = {"serving.kserve.io/autoscalerClass": "keda"}
    metric = {
        "type": "Resource",
        "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}},
    }
    scaled = predictor(stored(FIRST), minReplicas=1, autoScaling={"metrics": [metric]})
    made = inference_service(scaled, annotations=keda, canary=[canary(10, stored(SECOND))])
    standard.apply(made, namespace)
    failed = "triggers"
    standard.until(
        lambda: failed in "\n".join(standard.events(NAME, namespace)), "KServe made a candidate's ScaledObject"
    )
    objects = api_objects(standard)
    standard.patch(INFERENCE_SERVICE, NAME, namespace, {"spec": {"canary": None}})
    with pytest.raises(NotPossible, match="KEDA"):
        traffic_of(objects, namespace, NAME).start(Candidate(SECOND, 10))


@pytest.mark.parametrize(
    "scale",
    [{}, {"minReplicas": 2, "maxReplicas": 3}, {"minReplicas": 0, "maxReplicas": 2}],
    ids=["unset", "few", "zero"],
)
def test_a_canary_leaves_the_bounds_of_the_autoscaler_as_they_were(standard: Cluster, scale: dict[str, int]) -> None:
    demo = stage(standard, {"predictor": predictor(stored(FIRST), **scale)}, PlayedSplit(api_objects(standard)))
    before = demo.service()
    demo.start(percent=50)
    demo.run(lambda traffic: traffic.abort())
    assert _untouched(demo, before)
    demo.start(percent=50)
    demo.run(lambda traffic: traffic.promote())
    after = demo.service()["spec"]["predictor"]
    assert {key: after[key] for key in ("minReplicas", "maxReplicas") if key in after} == scale
    assert demo.read().stable.uri == SECOND
