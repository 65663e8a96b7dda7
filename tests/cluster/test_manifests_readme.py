"""manifests/README.md says what is there, and its example works."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

import pytest
import yaml

from tests.cluster.cluster import Cluster
from tests.cluster.command_line import CommandLine
from tests.cluster.kinds import SERVICE
from tests.cluster.kserve import Mode
from tests.cluster.manifests import Manifest
from tests.cluster.overlays import ROOT, containers, deploy, deployed, environment, mode_of, overlays
from tests.cluster.picture import picture

README: Final = (ROOT / "README.md").read_text()
ROW: Final = re.compile(r"^\| `([^`]+)` \| ((?:Standard|Knative)[^|]*) \| ([^|]+) \|", re.MULTILINE)
ROWS: Final = [tuple(cell.strip() for cell in row) for row in ROW.findall(README)]
WRITTEN: Final = "<!-- Written by tests/cluster/test_manifests_readme.py from what KServe made. -->"
HEADER: Final = "apiVersion: kustomize.config.k8s.io/v1beta1"


def _block(language: str, number: int = 0) -> str:
    found: list[str] = re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    return found[number].strip()


def _comment(folder: Path) -> str:
    """What an overlay says of itself, above its first field."""
    text, _, _ = (folder / "kustomization.yaml").read_text().partition(HEADER)
    return " ".join(each.removeprefix("# ") for each in text.splitlines())


def test_the_table_lists_every_overlay_with_its_modes() -> None:
    there = {name: [mode.value for mode in Mode if name in overlays(mode)] for mode in Mode for name in overlays(mode)}
    assert {name: modes for name, modes, _ in ROWS} == {name: ", ".join(modes) for name, modes in there.items()}


@pytest.mark.parametrize(("overlay", "modes", "purpose"), ROWS, ids=[name for name, _, _ in ROWS])
def test_the_table_says_what_the_overlay_says(overlay: str, modes: str, purpose: str) -> None:
    for mode in modes.split(", "):
        assert _comment(ROOT / "overlays" / mode.lower() / overlay).startswith(purpose), mode


def test_every_component_is_in_an_overlay() -> None:
    there = {each.parent for each in ROOT.glob("components/**/kustomization.yaml")}
    assert set().union(*(_components(each.parent) for each in ROOT.glob("overlays/**/kustomization.yaml"))) == there


def _components(folder: Path) -> set[Path]:
    """What a kustomization is made of, and what that is made of."""
    listed = yaml.safe_load((folder / "kustomization.yaml").read_text()).get("components", ())
    direct = {(folder / each).resolve() for each in listed}
    return direct.union(*(_components(each) for each in direct))


def test_kubectl_builds_what_kustomize_builds(command_line: CommandLine) -> None:
    folder = ROOT / "overlays/standard/keda"
    assert list(yaml.safe_load_all(command_line.kubectl("kustomize", folder))) == command_line.render_kustomize(folder)


def test_each_modes_page_shows_what_kserve_makes_of_its_overlays(cluster: Cluster, tmp_path: Path) -> None:
    folder = ROOT / "overlays" / mode_of(cluster).value.lower()
    (tmp_path / "README.md").write_text(page(cluster))
    assert (folder / "README.md").read_text() == page(cluster), f"cp {tmp_path}/README.md {folder}"


def page(cluster: Cluster) -> str:
    """The page of a mode's overlays: what each says of itself, and its picture."""
    mode = mode_of(cluster)
    parts = [f"{WRITTEN}\n# Overlays for {mode.value} mode"]
    for name in overlays(mode):
        drawn = picture(deployed(cluster, name))
        comment = _comment(ROOT / "overlays" / mode.value.lower() / name)
        parts.append(f"## {name}\n\n{comment}\n\n```mermaid\n{drawn}\n```")
    return "\n\n".join(parts) + "\n"


def test_the_example_is_a_model_under_names_of_its_own(standard: Cluster, tmp_path: Path) -> None:
    """Each name and selector is followed: a prefix and a label are all that two models in one namespace need."""
    where = os.path.relpath(ROOT, tmp_path.resolve())
    (tmp_path / "kustomization.yaml").write_text(_block("yaml", 1).replace("../manifests", where))
    found = deploy(standard, tmp_path)
    assert {each["metadata"]["name"].split("-")[0] for each in found.rendered} == {"cats"}
    transformer = containers(found.pod("cats-model-transformer"))
    assert transformer["kserve-container"]["image"].startswith("registry.example.com/vision/")
    assert transformer["storage-initializer"]["args"][0] == "gs://cats/1"
    assert containers(found.pod("cats-model-predictor"))["storage-initializer"]["args"][0] == "gs://cats/1"
    # --predictor_host=$(INFERENCE_SERVICE_NAME)-pods:8081
    assert environment(transformer["kserve-container"])["INFERENCE_SERVICE_NAME"] == "cats-model"
    assert standard.get(SERVICE, "cats-model-pods", found.namespace) is not None
    predictor = found.templates["cats-model-predictor"]["metadata"]["labels"]
    assert all(_followed(each, predictor) for each in found.rendered if "transformer" not in each["metadata"]["name"])


def _followed(manifest: Manifest, labels: dict[str, str]) -> bool:
    """Whether what an object selects is the pods with these labels; True where it selects none."""
    spec = manifest.get("spec", {})
    selector = spec.get("selector") or spec.get("podSelector") or {}
    wanted: dict[str, str] = selector.get("matchLabels", selector)
    return wanted.items() <= labels.items()


def test_the_example_gives_all_runtimes_the_registry(command_line: CommandLine, tmp_path: Path) -> None:
    where = os.path.relpath(ROOT, tmp_path.resolve())
    (tmp_path / "kustomization.yaml").write_text(_block("yaml", 0).replace("../manifests", where))
    runtimes = command_line.render_kustomize(tmp_path)
    images = {each["image"] for runtime in runtimes for each in runtime["spec"]["containers"]}
    assert images == {
        f"registry.example.com/vision/kserve-vision-{image}"
        for image in ("predictor:0.1.0", "predictor:0.1.0-gpu", "transformer:0.1.0")
    }
