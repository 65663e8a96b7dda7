"""The platform's chart without a cluster: the runtimes of manifests/runtimes with the values in them."""

from __future__ import annotations

import pytest

from tests.cluster.charts_releases import PLATFORM, ROOT, Values, one, rendered
from tests.cluster.command_line import CommandFailed, CommandLine
from tests.cluster.manifests import Manifest

RUNTIMES = ROOT / "manifests" / "runtimes"


def _runtimes(command_line: CommandLine, values: Values) -> dict[str, Manifest]:
    found = rendered(command_line, values, PLATFORM)
    return {each["metadata"]["name"]: each for each in found if each["kind"] == "ClusterServingRuntime"}


def _containers(runtime: Manifest) -> dict[str, Manifest]:
    return {each["name"]: each for each in runtime["spec"]["containers"]}


def test_it_passes_the_linter(command_line: CommandLine) -> None:
    assert "0 chart(s) failed" in command_line.helm("lint", "--strict", PLATFORM)


@pytest.mark.parametrize("mode", ["Standard", "Knative"])
def test_its_runtimes_are_those_of_the_manifests(command_line: CommandLine, mode: str) -> None:
    built = command_line.render_kustomize(RUNTIMES / mode.lower())
    ours = {each["metadata"]["name"]: each for each in built if each["kind"] == "ClusterServingRuntime"}
    assert _runtimes(command_line, {"mode": mode}) == ours
    assert len(ours) == 4


def test_its_storage_container_is_that_of_the_manifests(command_line: CommandLine) -> None:
    (ours,) = command_line.render_kustomize(RUNTIMES / "storage")
    values = {"storageContainer": {"enabled": True, "uriFormats": ours["spec"]["supportedUriFormats"]}}
    found = rendered(command_line, values, PLATFORM)
    assert one(found, "ClusterStorageContainer") == ours


def test_a_registry_and_a_tag_stand_in_every_image(command_line: CommandLine) -> None:
    values = {"imageRegistry": "registry.example.com/vision/", "images": {"tag": "1.2.3", "pullPolicy": "Always"}}
    found = _runtimes(command_line, values)
    images = {
        name: {key: each["image"] for key, each in _containers(runtime).items()} for name, runtime in found.items()
    }
    predictor = "registry.example.com/vision/kserve-vision-predictor:1.2.3"
    transformer = {"transformer-container": "registry.example.com/vision/kserve-vision-transformer:1.2.3"}
    assert images == {
        "kserve-vision": {"kserve-container": predictor} | transformer,
        "kserve-vision-gpu": {"kserve-container": f"{predictor}-gpu"} | transformer,
        "kserve-vision-predictor": {"kserve-container": predictor},
        "kserve-vision-predictor-gpu": {"kserve-container": f"{predictor}-gpu"},
    }
    policies = {each["imagePullPolicy"] for runtime in found.values() for each in _containers(runtime).values()}
    assert policies == {"Always"}


def test_resources_are_laid_over_those_of_the_runtime(command_line: CommandLine) -> None:
    values = {
        "predictor": {"resources": {"limits": {"memory": "4Gi"}}, "gpuResources": {"limits": {"memory": "9Gi"}}},
        "transformer": {"resources": {"requests": {"cpu": "2"}}},
    }
    found = _runtimes(command_line, values)
    assert _containers(found["kserve-vision"])["kserve-container"]["resources"]["limits"] == {"memory": "4Gi"}
    with_gpu = _containers(found["kserve-vision-gpu"])["kserve-container"]["resources"]
    assert with_gpu["limits"] == {"memory": "9Gi", "nvidia.com/gpu": "1"}
    requests = _containers(found["kserve-vision-gpu"])["transformer-container"]["resources"]["requests"]
    assert requests == {"cpu": "2", "memory": "512Mi"}


def test_knatives_servers_are_told_the_cpus_that_the_values_ask_for(command_line: CommandLine) -> None:
    values = {"mode": "Knative", "predictor": {"gpuResources": {"requests": {"cpu": "3"}}}}
    found = _runtimes(command_line, values)
    asked = {
        name: [
            each["value"] for each in _containers(runtime)["kserve-container"]["env"] if each["name"] == "CPU_REQUEST"
        ]
        for name, runtime in found.items()
    }
    assert asked == {name: ["3" if name.endswith("-gpu") else "1"] for name in found}


def test_variables_are_added_to_those_of_the_runtime(command_line: CommandLine) -> None:
    quiet = {"name": "LOG_LEVEL", "value": "WARNING"}
    plain = _containers(_runtimes(command_line, {})["kserve-vision"])["kserve-container"]["env"]
    found = _containers(_runtimes(command_line, {"predictor": {"env": [quiet]}})["kserve-vision"])
    assert found["kserve-container"]["env"] == [*plain, quiet]
    assert quiet not in found["transformer-container"]["env"]


def test_a_variable_of_the_runtimes_own_is_replaced(command_line: CommandLine) -> None:
    values = {
        "predictor": {"env": [{"name": "DRAIN_TIMEOUT_SECONDS", "value": "9"}]},
        "transformer": {"env": [{"name": "EXIT_WHEN_USELESS", "value": "false"}]},
    }
    plain = _containers(_runtimes(command_line, {})["kserve-vision"])
    found = _containers(_runtimes(command_line, values)["kserve-vision"])
    for name, given in (("kserve-container", "predictor"), ("transformer-container", "transformer")):
        before, after = ({each["name"]: each for each in of[name]["env"]} for of in (plain, found))
        (ours,) = values[given]["env"]
        assert ours["name"] in before
        assert after == before | {ours["name"]: ours}
        assert len(found[name]["env"]) == len(plain[name]["env"])


def test_a_name_that_yaml_would_read_as_something_else_stays_a_name(command_line: CommandLine) -> None:
    values = {"storageContainer": {"enabled": True, "name": "true", "uriFormats": [{"prefix": "s3://models/"}]}}
    assert one(rendered(command_line, values, PLATFORM), "ClusterStorageContainer")["metadata"]["name"] == "true"


def test_models_on_a_gpu_have_nodes_of_their_own(command_line: CommandLine) -> None:
    taint = {"key": "nvidia.com/gpu", "operator": "Exists"}
    values = {"scheduling": {"gpuNodeSelector": {"gpu": "yes"}, "gpuTolerations": [taint]}}
    found = _runtimes(command_line, values)
    with_gpu = found["kserve-vision-predictor-gpu"]["spec"]
    assert (with_gpu["nodeSelector"], with_gpu["tolerations"]) == ({"gpu": "yes"}, [taint])
    assert not found["kserve-vision"]["spec"].keys() & {"nodeSelector", "tolerations"}


def test_runtimes_for_a_gpu_can_be_left_out(command_line: CommandLine) -> None:
    found = _runtimes(command_line, {"runtimes": {"gpu": False}})
    assert set(found) == {"kserve-vision", "kserve-vision-predictor"}


def test_one_runtime_alone_is_chosen_by_itself(command_line: CommandLine) -> None:
    found = _runtimes(command_line, {"autoSelect": {"enabled": True}})
    chosen = {name: each["spec"]["supportedModelFormats"][0].get("autoSelect") for name, each in found.items()}
    assert [name for name, automatic in chosen.items() if automatic] == ["kserve-vision"]
    assert found["kserve-vision"]["spec"]["supportedModelFormats"][0]["priority"] == 10


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"mode": "Serverless"}, "value must be one of 'Standard', 'Knative'"),
        ({"autoSelect": {"enabled": True, "runtime": "triton"}}, 'autoSelect.runtime is "triton", which this'),
        ({"polcy": {}}, "additional properties 'polcy' not allowed"),
        ({"policy": {"actions": ["Refuse"]}}, "value must be one of 'Deny', 'Warn', 'Audit'"),
        ({"policy": {"actions": ["Deny", "Warn"]}}, "Deny and Warn, which the API server refuses together"),
        ({"storageContainer": {"enabled": True}}, "storageContainer.uriFormats is empty: name your stores"),
        ({"storageContainer": {"enabled": True, "image": ""}}, "/storageContainer/image"),
        ({"storageContainer": {"uriFormats": [{"prefix": "s3"}]}}, "does not match pattern"),
    ],
    ids=str,
)  # fmt: skip
def test_values_that_cannot_be_meant_are_refused(command_line: CommandLine, values: Values, says: str) -> None:
    with pytest.raises(CommandFailed) as refused:
        rendered(command_line, values, PLATFORM)
    assert says in str(refused.value)
