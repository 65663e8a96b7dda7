"""When KServe finds a ServingRuntime for a model, and what ours do."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.examples import container, inference_service
from tests.cluster.kinds import DEPLOYMENT, INFERENCE_SERVICE
from tests.cluster.manifests import Manifest
from tests.cluster.overlays import ROOT, combined, containers, environment
from tests.cluster.refusal import Refuser

MODEL = {"modelFormat": {"name": "onnx"}, "storageUri": "s3://models/demo"}


def _runtime(*protocols: str) -> Manifest:
    formats = [{"name": "onnx", "version": "1", "autoSelect": True}]
    containers = [container(args=["--model_name={{.Name}}"])]
    return {
        "apiVersion": "serving.kserve.io/v1alpha1",
        "kind": "ServingRuntime",
        "metadata": {"name": "ours"},
        "spec": {"supportedModelFormats": formats, "protocolVersions": list(protocols), "containers": containers},
    }


@pytest.mark.parametrize(
    ("protocols", "model"), [(("v1", "v2"), MODEL), (("v2",), MODEL | {"protocolVersion": "v2"})], ids=["v1", "v2"]
)
def test_a_runtime_of_the_format_and_protocol_serves_the_model(
    standard: Cluster, protocols: tuple[str, ...], model: Manifest
) -> None:
    namespace = standard.namespace()
    standard.apply(_runtime(*protocols), namespace)
    standard.apply(inference_service({"model": model}), namespace)
    template = standard.wait_for(DEPLOYMENT, "demo-predictor", namespace)["spec"]["template"]["spec"]
    assert template["containers"][0]["args"] == ["--model_name=demo"]


def test_a_model_that_names_no_protocol_means_v1(standard: Cluster) -> None:
    namespace = standard.namespace()
    standard.apply(_runtime("v2", "grpc-v2"), namespace)
    standard.apply(inference_service({"model": MODEL}), namespace)
    found = "no runtime found to support predictor with model type: {onnx"
    standard.until(lambda: found in "\n".join(standard.events("demo", namespace)), "KServe found a runtime")


def _ours(cluster: Cluster, folder: Path, *components: str) -> str:
    """Our runtimes with some of their components, in a namespace of their own."""
    top = combined(folder, [ROOT / "runtimes/standard"], [f"runtimes/components/{each}" for each in components])
    namespace = cluster.namespace()
    cluster.apply(cluster.command_line.render_kustomize(top), namespace)
    return namespace


def test_ours_are_not_taken_by_a_model_that_names_none(standard: Cluster, tmp_path: Path) -> None:
    namespace = _ours(standard, tmp_path, "namespaced")
    standard.apply(inference_service({"model": MODEL}), namespace)
    found = "no runtime found to support predictor with model type: {onnx"
    standard.until(lambda: found in "\n".join(standard.events("demo", namespace)), "KServe found a runtime")


def test_ours_are_taken_by_a_model_that_names_none_where_that_is_asked_for(standard: Cluster, tmp_path: Path) -> None:
    """Among Triton's, which comes with KServe and has the priority 1 for ONNX."""
    namespace = _ours(standard, tmp_path, "namespaced", "auto-select")
    standard.apply(_triton(), namespace)
    standard.apply(inference_service({"model": MODEL}), namespace)
    template = standard.wait_for(DEPLOYMENT, "demo-predictor", namespace)["spec"]["template"]["spec"]
    assert [each["image"] for each in template["containers"]] == [
        "kserve-vision-predictor:0.1.0",
        "kserve-vision-transformer:0.1.0",
    ]


def test_a_second_runtime_of_the_same_priority_is_refused(standard: Cluster, tmp_path: Path) -> None:
    namespace = _ours(standard, tmp_path, "namespaced", "auto-select")
    triton = _triton()
    triton["spec"]["supportedModelFormats"][0]["priority"] = 2
    refused = standard.refusal(triton, namespace)
    assert refused is not None
    assert refused.by is Refuser.KSERVE
    assert "priority" in refused.message


def test_a_namespaces_own_runtime_serves_like_the_clusters(standard: Cluster, tmp_path: Path) -> None:
    namespace = _ours(standard, tmp_path, "namespaced")
    standard.apply(inference_service({"model": MODEL | {"runtime": "kserve-vision"}}), namespace)
    service = standard.wait_for(
        INFERENCE_SERVICE, "demo", namespace, lambda each: "servingRuntimeName" in each.get("status", {})
    )
    assert service["status"]["servingRuntimeName"] == "kserve-vision"


def test_values_of_a_model_are_merged_into_both_containers(standard: Cluster, tmp_path: Path) -> None:
    namespace = _ours(standard, tmp_path, "namespaced")
    model = MODEL | {
        "runtime": "kserve-vision",
        "env": [{"name": "INSTANCES", "value": "2"}],
        "args": ["--num_threads=1"],
    }
    transformer = {"name": "transformer-container", "env": [{"name": "TOP_K", "value": "3"}]}
    standard.apply(inference_service({"model": model, "containers": [transformer]}), namespace)
    template = standard.wait_for(DEPLOYMENT, "demo-predictor", namespace)["spec"]["template"]
    both = containers(template)
    assert environment(both["kserve-container"]).items() >= {"INSTANCES": "2", "HTTP_PORT": "8090"}.items()
    assert both["kserve-container"]["args"] == ["--num_threads=1"]
    added = environment(both["transformer-container"])
    assert (added["TOP_K"], "PREDICTOR_HOST" in added) == ("3", True)


def test_each_container_is_told_the_cpus_that_it_asks_for(standard: Cluster, tmp_path: Path) -> None:
    """Of the runtime, or of the InferenceService; what is asked for is found by kubectl, as the kubelet would."""
    namespace = _ours(standard, tmp_path, "namespaced")
    model = MODEL | {"runtime": "kserve-vision", "resources": {"requests": {"cpu": "5500m"}}}
    standard.apply(inference_service({"model": model}), namespace)
    standard.wait_for(DEPLOYMENT, "demo-predictor", namespace)
    command = ("set", "env", "deployment/demo-predictor", "--list", "--resolve", "--namespace", namespace)
    lines = standard.command_line.kubectl(*command).splitlines()
    assert [each for each in lines if each.startswith("CPU_REQUEST")] == ["CPU_REQUEST=6", "CPU_REQUEST=1"]


def _triton() -> Manifest:
    runtime = _runtime("v1", "v2", "grpc-v2")
    runtime["metadata"]["name"] = "triton"
    runtime["spec"]["supportedModelFormats"][0]["priority"] = 1
    return runtime
