"""Names and addresses are checked before anything is sent to a cluster."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from cli.cluster.model import memory_mib
from cli.cluster.naming import BadName, check_form, check_length, proposal
from cli.cluster.storage import SCHEMES, BadAddress, check_address, neighbours_of
from cli.main import app
from rollout import NotPossible
from rollout.mode import Mode
from rollout.naming import check_tags

URI = "s3://bucket/model"


def run(*arguments: object) -> Result:
    environ = {"COLUMNS": "400", "TERM": "dumb", "KUBECONFIG": "/nonexistent"}
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env=environ)


def rendered(*arguments: object) -> dict[str, object]:
    done = run("render", *arguments, "--mode", "standard")
    assert done.exit_code == 0, done.stderr
    found: dict[str, object] = yaml.safe_load(done.stdout)
    return found


@pytest.mark.parametrize(
    ("name", "mode"),
    [("a", Mode.STANDARD), ("model-2", Mode.KNATIVE), ("a" * 45, Mode.STANDARD), ("a" * 53, Mode.KNATIVE)],
)
def test_names_that_kserve_takes(name: str, mode: Mode) -> None:
    check_form(name)
    check_length(name, "default", mode)


@pytest.mark.parametrize(
    ("name", "better"),
    [
        ("Model", "model"),
        ("efficientnet_lite0", "efficientnet-lite0"),
        ("2nd", "model-2nd"),
        ("-a-", "a"),
        ("a.b", "a-b"),
        ("größe", "gr-e"),
        ("", "model"),
        ("ünïcödé", "n-c-d"),
    ],
)
def test_a_name_that_kserve_refuses_gets_a_proposal_that_it_takes(name: str, better: str) -> None:
    with pytest.raises(BadName):
        check_form(name)
    assert proposal(name) == better
    check_form(proposal(name))


@pytest.mark.parametrize(
    ("mode", "namespace", "longest", "made"),
    [
        (Mode.STANDARD, "default", 45, "NAME-predictor-default"),
        (Mode.STANDARD, "b" * 40, 12, f"NAME-predictor-{'b' * 40}"),
        (Mode.STANDARD, "ml", 48, "isvc.NAME-predictor"),
        (Mode.KNATIVE, "default", 53, "NAME-predictor"),
        (Mode.KNATIVE, "b" * 40, 53, "NAME-predictor"),
    ],
)
def test_a_name_and_what_is_made_of_it_fit_into_a_label(mode: Mode, namespace: str, longest: int, made: str) -> None:
    check_length("a" * longest, namespace, mode)
    with pytest.raises(
        BadName, match=f"has {longest + 1} characters, of which {longest} fit.*{made}.*--name a{{{longest}}}$"
    ):
        check_length("a" * (longest + 1), namespace, mode)


def test_a_name_that_is_proposed_leaves_room_for_a_canary_in_each_mode() -> None:
    name = proposal("x" * 100)
    check_length(name, "n", Mode.STANDARD)
    check_tags(name, "n", "predictor")
    with pytest.raises(NotPossible):
        check_tags(f"{name}x", "n", "predictor")


def test_a_namespace_may_leave_room_for_no_name() -> None:
    with pytest.raises(BadName, match="no name fits into the namespace"):
        check_length("a", "b" * 60, Mode.STANDARD)


def test_the_namespace_is_counted_before_the_manifest_is_printed() -> None:
    done = run("render", URI, "--name", "a" * 40, "-n", "b" * 30, "--mode", "standard")
    assert done.exit_code == 1
    assert "of which 22 fit" in done.stderr


@pytest.mark.parametrize(
    "uri",
    [
        URI,
        "gs://bucket/model",
        "pvc://claim/model",
        "oci://registry.example/model:1",
        "hf://organisation/model:main",
        "https://example.com/model.tar.gz?version=x",
        "https://account.blob.core.windows.net/container/model",
    ],
)
def test_addresses_that_kserve_fetches_from(uri: str) -> None:
    check_address(uri)


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("gcs://bucket/model", "did you mean gs://bucket/model"),
        ("S3://bucket/model", "did you mean s3://bucket/model"),
        ("ftp://host/model", "not from 'ftp'"),
        ("file:///models/model", "use a volume claim"),
        ("s3://", "names no place"),
        ("s3:///", "names no place"),
        ("models/model", "is no address"),
        ("https://user:secret@example.com/model.zip", "holds a password"),
        ("s3://KEY:SECRET@bucket/model", "holds a password"),
        ("s3://KEY:SEC/RET@bucket/model", "holds a password"),
        ("s3a://KEY:SECRET@bucket/model", "holds a password"),
        ("https://account.blob.core.windows.net/container/model?sv=1&sig=SECRET", "is signed"),
        ("s3://bucket/model?X-Amz-Signature=SECRET", "is signed"),
        ("https://[example.com/model.zip", "is no address"),
        ("https://example.com/model.onnx", "KServe fetches one file"),
        ("s3://bucket/my model", "holds a blank"),
        ("s3://bucket/\x1b[2J", "holds a blank"),
    ],
)
def test_an_address_that_kserve_could_not_fetch_from_is_refused_with_what_is_meant(uri: str, said: str) -> None:
    with pytest.raises(BadAddress) as refused:
        check_address(uri)
    assert said in str(refused.value)
    assert "SECRET" not in str(refused.value)


def test_a_password_in_an_address_is_not_repeated() -> None:
    done = run("render", "https://user:secret@example.com/model.zip", "--mode", "standard")
    assert done.exit_code == 1
    assert "secret" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("s3://bucket/efficientnet_Lite0/", "efficientnet-lite0"),
        ("oci://registry.example/vision/yolo:1.2", "yolo"),
        ("https://example.com/a/detector.tar.gz?x=1", "detector"),
        ("hf://organisation/model:main", "model"),
        ("oci://registry.example/m@sha256:12", "m"),
    ],
)
def test_the_name_is_the_models_where_none_is_given(uri: str, name: str) -> None:
    assert rendered(uri)["metadata"]["name"] == name  # type: ignore[index]  # YAML


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--memory", "lots"), "--memory lots: a quantity is expected"),
        (("--cpu", "-1"), "--cpu -1: a quantity is expected"),
        (("--env", "TOP_K"), "--env TOP_K: NAME=VALUE is expected"),
        (("--min-replicas", "3", "--max-replicas", "2"), "--min-replicas 3 is more than --max-replicas"),
        (("--min-replicas", "0"), "that needs KEDA"),
        (("--min-replicas", "-1"), "'--min-replicas'"),
        (("--uri", "s3://b/m"), "are both addresses"),
        (("--mode", "serverless"), "'serverless' is not one of 'standard', 'knative'"),
    ],
)
def test_a_wrong_option_is_said_before_a_cluster_is_asked(options: tuple[str, ...], said: str) -> None:
    mode = () if "--mode" in options else ("--mode", "standard")
    done = run("render", URI, *options, *mode)
    assert done.exit_code == 2
    assert said in done.stderr


def _model(folder: Path, megabytes: int = 1) -> Path:
    folder.mkdir()
    (folder / "model.yaml").write_text(
        "apiVersion: kserve-vision/v1\ntask: raw\ninput: {height: 4, width: 6, resize: {rule: stretch}}\n"
        "output: {decoder: tensors}\n"
    )
    with (folder / "model.onnx").open("wb") as file:
        file.truncate(megabytes * 2**20)
    return folder


def test_a_model_directory_says_how_it_gets_to_the_cluster(tmp_path: Path) -> None:
    done = run("render", _model(tmp_path / "My_Model"), "--mode", "standard")
    assert done.exit_code == 1
    assert "the cluster cannot read this machine's disk" in done.stderr
    assert "s3://bucket/my-model" in done.stderr


def test_a_model_directorys_size_is_the_memory_that_is_asked_for(tmp_path: Path) -> None:
    found = rendered(_model(tmp_path / "large", 1000), "--uri", URI)
    model = found["spec"]["predictor"]["model"]  # type: ignore[index]  # YAML
    assert model["resources"] == {"requests": {"memory": "3584Mi"}, "limits": {"memory": "7168Mi"}}
    small = rendered(_model(tmp_path / "small"), "--uri", URI)
    assert "resources" not in small["spec"]["predictor"]["model"]  # type: ignore[index]  # YAML
    assert memory_mib(0) is None


@pytest.mark.parametrize("uri", ["s3://models/demo/", "s3://models", "s3://models/", "gs://models/demo", "pvc://a/b"])
def test_addresses_of_which_nothing_else_is_fetched(uri: str) -> None:
    assert not neighbours_of(uri)


def test_memory_that_is_given_is_asked_for_and_the_limit(tmp_path: Path) -> None:
    found = rendered(_model(tmp_path / "large", 1000), "--uri", URI, "--memory", "9Gi", "--cpu", "2")
    model = found["spec"]["predictor"]["model"]  # type: ignore[index]  # YAML
    assert model["resources"] == {"requests": {"cpu": "2", "memory": "9Gi"}, "limits": {"memory": "9Gi"}}


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: (folder / "model.yaml").unlink(), "model.yaml does not exist"),
        (lambda folder: (folder / "model.onnx").unlink(), "which model.yaml names, is not there"),
        (lambda folder: (folder / "model.onnx").write_bytes(b""), "is empty"),
        (
            lambda folder: (folder / "model.onnx").write_bytes(b"version https://git-lfs.github.com/spec"),
            "git lfs pull",
        ),
        (lambda folder: (folder / "model.yaml").write_text("apiVersion: kserve-vision/v9\n"), "apiVersion"),
    ],
    ids=["contract", "weights", "empty", "pointer", "version"],
)
def test_a_model_directory_that_cannot_be_served_is_refused_first(tmp_path: Path, spoil: object, said: str) -> None:
    folder = _model(tmp_path / "model")
    spoil(folder)  # type: ignore[operator]  # a function
    done = run("render", folder, "--uri", URI, "--mode", "standard")
    assert done.exit_code == 1
    assert said in done.stderr


def test_what_is_neither_a_folder_nor_an_address_is_said() -> None:
    done = run("deploy", "efficientnet-lite0", "--mode", "standard")
    assert done.exit_code == 1
    assert "is neither a folder here nor an address such as s3://bucket/efficientnet-lite0" in done.stderr


@pytest.mark.parametrize("command", ["render", "deploy"])
def test_the_help_names_all_schemes(command: str) -> None:
    done = run(command, "--help")
    for scheme in SCHEMES:
        assert f"{scheme}://" in done.stdout


def test_the_clusters_client_is_not_imported_for_other_commands() -> None:
    import subprocess  # noqa: PLC0415
    import sys  # noqa: PLC0415

    script = "import sys, cli.main; print([each for each in ('kubernetes', 'urllib3') if each in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
