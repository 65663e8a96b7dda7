"""A model in a bucket, fetched by KServe's own storage initializer: served, or not, and what users see then."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import yaml

from tests.cluster.cli_running import kserve_vision, running
from tests.cluster.cluster import Cluster
from tests.cluster.kinds import INFERENCE_SERVICE
from tests.cluster.manifests import Manifest
from tests.cluster.node import Node
from tests.node.callers import label_of
from tests.node.isolation import ADDRESS, UNANSWERED
from tests.node.served import ROOT, Served, container_status, last_state
from tests.node.storage import RESTRICTED, Keys, Store
from tests.servers import MODEL

INITIALIZER = "storage-initializer"
PYTHON = "/opt/kserve-vision/bin/python"
FAILED = "Storage initialization failed: "
UNEXPECTED = "Unexpected error during storage initialization: "
NO_RIGHT = f"{FAILED}S3 error [403]: Forbidden"
NO_KEYS = (
    f"{FAILED}S3 authentication failed. Set AWS_ACCESS_KEY_ID/AWS_SECRET_ACCESS_KEY or use awsAnonymousCredential=true."
)

MODEL_FILES = {"model.yaml", "model.onnx", "labels.txt"}

Opened = Callable[..., Served]


@dataclass(frozen=True)
class Level:
    """A level of Pod Security, and what a user does for it."""

    enforced: str
    uri: str
    components: tuple[str, ...]
    options: tuple[str, ...] = ()
    entrance: str = "predictor"


LEVELS = (
    Level("baseline", "s3://models/demo", ("storage/s3",)),
    Level(
        "restricted",
        "s3://models/restricted/demo",
        ("storage/s3", "restricted-storage"),
        ("--storage-container", RESTRICTED),
    ),
)
SEPARATE = replace(
    LEVELS[1], components=(*LEVELS[1].components, "separate-transformer/standard"), entrance="transformer"
)


class TestAModelInABucket:
    @pytest.mark.parametrize("level", [*LEVELS, SEPARATE], ids=["baseline", "restricted", "separate transformer"])
    def test_is_served_by_the_manifests(self, opened: Opened, tmp_path: Path, cat: bytes, level: Level) -> None:
        """In a kustomization as manifests/README.md has it, with the Secret that the component for S3 names."""
        service = replace(
            opened(enforce=level.enforced, name="model-store"), name="cats-model", entrance=level.entrance
        )
        service.cluster.apply(_rendered(service.cluster, tmp_path, level), service.namespace)
        service.wait_available()

        assert label_of(service, cat) == "tiger cat"
        assert {container_status(each, INITIALIZER)["user"]["linux"]["uid"] for each in service.pods()} == {1000}
        assert _fetched(service) == MODEL_FILES

    @pytest.mark.parametrize("level", LEVELS, ids=lambda level: level.enforced)
    def test_is_served_by_commands(self, opened: Opened, tmp_path: Path, cat: bytes, level: Level) -> None:
        """Those of docs/kubernetes.md, once the runtimes are there. The answer of a gateway is played."""
        service = opened(enforce=level.enforced)
        picture = tmp_path / "cat.jpg"
        picture.write_bytes(cat)
        with running(service.cluster.kubeconfig, *_deploying(service, level.uri), *level.options) as deploying:
            deploying.wait_line(f"the model is fetched from {level.uri} by storage-initializer")
            for name in (service.name, service.workload):
                Node(service.cluster).accept_route(name, service.namespace)
            done = deploying.end()
        tried = kserve_vision(service.cluster.kubeconfig, "test", MODEL, picture, "-n", service.namespace)

        assert (done.code, tried.code) == (0, 0), done.err + tried.err
        assert f"{MODEL} is ready: " in done.out
        assert "tiger cat" in tried.out
        assert "Traceback" not in tried.err


class TestAPathInABucket:
    """KServe asks S3 for all names that begin so: `cats` are the cats, and `cats-2` too."""

    def test_without_a_slash_fetches_what_begins_so(self, opened: Opened, cat: bytes) -> None:
        service = opened()
        _deploy(service, "s3://models/twins/cats")
        service.wait_available()

        assert label_of(service, cat) == "tiger cat"
        assert _fetched(service) == MODEL_FILES | {f"-2/{each}" for each in MODEL_FILES}

    def test_with_a_slash_is_a_folder(self, opened: Opened, cat: bytes) -> None:
        service = opened()
        _deploy(service, "s3://models/twins/cats/")
        service.wait_available()

        assert label_of(service, cat) == "tiger cat"
        assert _fetched(service) == MODEL_FILES


class TestAModelThatCannotBeFetched:
    @pytest.mark.parametrize(
        ("uri", "reason"),
        [
            ("s3://nowhere/demo", f"{FAILED}S3 resource 'nowhere' not found."),
            ("s3://models/nothing", f"{FAILED}Failed to fetch model. No model found in nothing."),
        ],
        ids=["bucket", "path"],
    )
    def test_since_it_is_not_there(self, opened: Opened, uri: str, reason: str) -> None:
        service = opened()
        _deploy(service, uri)

        _fails(service, reason)

    @pytest.mark.parametrize("whose", ["nobody", "forger", "stranger"])
    def test_since_the_keys_do_not_open_it(self, opened: Opened, store: Store, whose: str) -> None:
        """Keys that the store does not know, a wrong secret, and a user who may do nothing."""
        keys = {"nobody": Keys("AKIAIOSFODNN7EXAMPLE", "x"), "forger": Keys(store.owner.name, "x")}
        service = opened(keys.get(whose, store.stranger))
        _deploy(service, "s3://models/demo")

        _fails(service, NO_RIGHT)

    def test_since_no_service_account_names_the_keys(self, opened: Opened) -> None:
        service = opened()
        _deploy(service, "s3://models/demo", account="default")

        _fails(service, NO_KEYS)

    @pytest.mark.parametrize(
        ("endpoint", "reason"),
        [
            (f"{ADDRESS}:9", f'{UNEXPECTED}Could not connect to the endpoint URL: "http://{ADDRESS}:9/models"'),
            (f"{UNANSWERED}:80", f'{UNEXPECTED}Connect timeout on endpoint URL: "http://{UNANSWERED}:80/models"'),
        ],
        ids=["refused", "dropped"],
    )
    def test_since_the_store_does_not_answer(self, opened: Opened, endpoint: str, reason: str) -> None:
        """Nobody listens there, or a firewall drops what goes there: it waits for a minute then."""
        service = opened(endpoint=endpoint)
        _deploy(service, "s3://models/demo")

        _fails(service, reason)

    def test_since_a_web_server_does_not_have_it(self, opened: Opened) -> None:
        """The store's own pages are open to all."""
        service = opened()
        uri = f"http://{Store.endpoint}/moto-api/nothing.tar.gz"
        _deploy(service, uri, account="default")

        _fails(service, f"{FAILED}HTTP resource not found at '{uri}'.")


def _deploying(service: Served, uri: str, account: str = "models") -> tuple[str, ...]:
    return ("deploy", uri, "--name", MODEL, "-n", service.namespace, "--service-account", account)


def _deploy(service: Served, uri: str, account: str = "models") -> None:
    done = kserve_vision(service.cluster.kubeconfig, *_deploying(service, uri, account), "--no-wait")
    assert done.code == 0, done.err


def _fails(service: Served, reason: str) -> None:
    """The log's last line says why, and the pod, the InferenceService and `kserve-vision status` repeat it."""
    pod = service.wait_for_pod(lambda each: last_state(each, INITIALIZER))
    last = last_state(pod, INITIALIZER)

    def told(each: Manifest) -> bool:
        failure = each.get("status", {}).get("modelStatus", {}).get("lastFailureInfo", {})
        return bool(str(failure.get("message")).rstrip().endswith(reason))

    assert (last["reason"], last["exitCode"]) == ("Error", 1)
    assert last["message"].rstrip().endswith(f" {reason}")
    service.cluster.wait_for(INFERENCE_SERVICE, service.name, service.namespace, told)
    said = kserve_vision(service.cluster.kubeconfig, "status", MODEL, "-n", service.namespace)
    print(f"\n{said.out}")
    assert said.code == 1
    assert said.out.rstrip().endswith(f"ended with exit code 1: {reason}")


def _fetched(service: Served) -> set[str]:
    """The files at /mnt/models, which are the storage initializer's: our user may read them, and write none."""
    program = """
import os
for folder, _, names in os.walk("/mnt/models"):
    for path in (os.path.join(folder, name) for name in names):
        found = os.stat(path)
        print(found.st_uid, found.st_gid, found.st_mode, os.path.relpath(path, "/mnt/models"))
"""
    pod = service.pods()[0]["metadata"]["name"]
    listed = service.kubectl("exec", pod, "-c", "kserve-container", "--", PYTHON, "-I", "-c", program)
    found = [line.split() for line in listed.splitlines()]
    assert {(uid, gid, stat.filemode(int(mode))) for uid, gid, mode, _ in found} == {("1000", "65532", "-rw-r--r--")}
    return {name for *_, name in found}


def _rendered(cluster: Cluster, folder: Path, level: Level) -> list[Manifest]:
    """What a user's kustomization gives: the base, the components, and the model's name and address."""
    manifests = os.path.relpath(ROOT / "manifests", folder)
    addresses = ["/spec/predictor/model/storageUri"]
    if level.entrance == "transformer":
        addresses.append("/spec/transformer/containers/0/env/0/value")
    patch = [{"op": "replace", "path": each, "value": level.uri} for each in addresses]
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namePrefix": "cats-",
        "labels": [{"includeSelectors": True, "pairs": {"app.kubernetes.io/instance": "cats-model"}}],
        "resources": [f"{manifests}/base/standard"],
        "components": [f"{manifests}/components/{each}" for each in level.components],
        "patches": [{"target": {"kind": "InferenceService"}, "patch": yaml.safe_dump(patch)}],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    return cluster.command_line.render_kustomize(folder)
