"""What a candidate is called."""

from __future__ import annotations

import pytest

from rollout import NotPossible
from rollout.mode import Mode
from rollout.naming import MAX_LABEL, check_tags, labels_of, longest_name, longest_service, name_for


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("s3://models/resnet/2", "v2"),
        ("s3://models/resnet/V2.1/", "v2-1"),
        ("pvc://claim/yolo_v8", "yolo-v8"),
        ("oci://registry/model:3", "model-3"),
        ("s3://models/___", "v"),
    ],
)
def test_a_candidate_is_called_what_its_uri_ends_with(uri: str, name: str) -> None:
    assert name_for(uri, "", "") == name


@pytest.mark.parametrize(("namespace", "longest"), [("n", 43), ("isvc", 43), ("isvcs", 42), ("production", 37)])
def test_a_candidates_name_leaves_room_for_the_label_and_for_the_host(namespace: str, longest: int) -> None:
    assert longest_name("demo", namespace) == longest
    made = labels_of("demo", namespace, Mode.STANDARD, version="v" * longest)
    assert made == (f"isvc.demo-{'v' * longest}-predictor", f"demo-{'v' * longest}-predictor-{namespace}")
    assert max(map(len, made)) == MAX_LABEL


@pytest.mark.parametrize("component", ["predictor", "transformer"])
def test_tags_are_for_names_that_leave_room_for_their_services(component: str) -> None:
    longest = MAX_LABEL - len(f"latest--{component}")
    check_tags("d" * longest, "n", component)
    with pytest.raises(NotPossible, match=f"Knative makes latest-d{{{longest + 1}}}-{component} of it, which has 64"):
        check_tags("d" * (longest + 1), "n", "predictor", component)
    assert longest_service("n", Mode.KNATIVE, tagged=True) == MAX_LABEL - len("latest--predictor")


def test_a_name_that_is_taken_or_too_long_gets_a_digest() -> None:
    longest = longest_name("demo", "production")
    taken = name_for("s3://a/2", "", "v2", longest)
    assert taken.startswith("v2-")
    long = name_for(f"s3://a/{'x' * 200}", "", "", longest)
    assert len(f"demo-{long}-predictor-production") == 63  # the first part of the host that KServe gives it
    assert name_for(f"s3://b/{'x' * 200}", "", "", longest) != long


@pytest.mark.parametrize(
    ("longest", "why"), [(7, "give --version-name"), (0, "leave no letter"), (-3, "leave no letter")]
)
def test_where_no_name_can_be_made_that_is_said(longest: int, why: str) -> None:
    with pytest.raises(NotPossible, match=why):
        name_for(f"s3://a/{'x' * 200}", "", "", longest)


@pytest.mark.parametrize("given", ["V2", "2", "v2-", "v_2", "v" * 60, "stable"])
def test_a_given_name_must_be_one_that_kubernetes_takes_and_new(given: str) -> None:
    with pytest.raises(NotPossible):
        name_for("s3://a/2", given, "stable", 48)
