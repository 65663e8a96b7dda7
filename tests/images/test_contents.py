"""What is in an image, and what is not."""

from __future__ import annotations

import re
from importlib.metadata import version

import pytest

from serving.version import __version__

from .containers import Container, image_inspect, image_of

ALL = ("predictor", "transformer", "edge")
BOUND_MB = 500
SBOM = "/opt/kserve-vision/sbom.cdx.json"
INSTALLED = """
import json
from importlib.metadata import distributions
print(json.dumps({d.name: [d.version, d.requires or []] for d in distributions()}))
"""
WRITABLE = """
import json, os
found = []
for folder, folders, files in os.walk("/"):
    folders[:] = [each for each in folders if os.path.join(folder, each) not in ("/proc", "/sys", "/dev")]
    found += [path for path in (folder, *(os.path.join(folder, each) for each in files)) if os.access(path, os.W_OK)
              and not os.path.islink(path)]
print(json.dumps(found))
"""


@pytest.mark.parametrize("name", ALL)
def test_it_is_no_larger_than_it_says(name: str) -> None:
    assert image_inspect(image_of(name))["Size"] < BOUND_MB * 1_000_000


@pytest.mark.parametrize("name", ALL)
def test_it_says_what_it_is(name: str) -> None:
    image = image_inspect(image_of(name))
    labels = {key.removeprefix("org.opencontainers.image."): value for key, value in image["Labels"].items()}

    assert labels["title"] == f"kserve-vision {name}"
    assert labels["description"]
    assert labels["licenses"] == "Apache-2.0"
    assert labels["version"] == __version__
    assert re.fullmatch("[0-9a-f]{40}(-dirty)?|unknown", labels["revision"])
    assert labels["io.kserve-vision.sbom"] == SBOM
    config = image["Config"]
    assert config["User"] == "65532:65532"
    assert set(config["ExposedPorts"]) == {"8080/tcp", "8081/tcp"}
    assert config["StopSignal"] in ("SIGTERM", "15")
    assert config["Entrypoint"] == ["/opt/kserve-vision/bin/python", "-P", "-m", name]
    assert not config.get("Cmd")
    assert not config.get("Volumes")


def test_its_bill_of_materials_lists_what_is_installed(server: Container) -> None:
    bill = server.python(f"print(open({SBOM!r}).read())")

    assert (bill["bomFormat"], bill["metadata"]["component"]["name"]) == ("CycloneDX", "kserve-vision")
    assert bill["metadata"]["component"]["version"] == __version__
    listed = {component["name"]: component["version"] for component in bill["components"]}
    assert listed == {name: found[0] for name, found in server.python(INSTALLED).items()}
    assert listed["kserve"] == version("kserve"), "an image has the versions that are tested"


def test_it_holds_what_its_server_imports_and_no_more(server: Container, request: pytest.FixtureRequest) -> None:
    name = request.node.callspec.params["server"]
    installed = set(server.python(INSTALLED))

    assert {"onnxruntime", "onnx"} & installed == (set() if name == "transformer" else {"onnxruntime", "onnx"})
    assert ("pillow" in installed) == (name != "predictor")
    assert installed.isdisjoint({"pip", "setuptools", "pandas", "aiohttp", "cryptography", "typer", "pytest"})
    packages = ("serving", "predictor", "transformer", "edge", "cli", "zoo", "inspection", "load", "pip", "ensurepip")
    there = server.python(
        f"import json, importlib.util as u; print(json.dumps([n for n in {packages} if u.find_spec(n)]))"
    )
    own = {"predictor": ["predictor"], "transformer": ["transformer"], "edge": ["predictor", "transformer", "edge"]}
    assert there == ["serving", *own[name]]


def test_what_is_required_is_there_but_for_what_is_said_to_be_left_out(server: Container) -> None:
    left_out = {
        "aiohttp", "aiohttp-retry", "cryptography", "grpcio-tools", "pandas", "pillow", "pyasn1", "pyjwt",
    }  # fmt: skip

    assert set(server.python(MISSING)) <= left_out


MISSING = """
import json, re
from importlib.metadata import distributions
from packaging.requirements import Requirement
norm = lambda name: re.sub("[-_.]+", "-", name).lower()
found = {norm(d.name): d for d in distributions()}
missing = set()
for d in found.values():
    for line in d.requires or ():
        r = Requirement(line)
        if (r.marker is None or r.marker.evaluate({"extra": ""})):
            other = found.get(norm(r.name))
            if other is None or not r.specifier.contains(other.version, prereleases=True):
                missing.add(norm(r.name))
print(json.dumps(sorted(missing)))
"""


def test_every_module_of_the_server_can_be_imported(server: Container) -> None:
    assert server.python(IMPORT_ALL) == []


IMPORT_ALL = """
import importlib, json, os, pkgutil
os.environ["HOME"] = "/tmp"
failed = []
for top in ("serving", "predictor", "transformer", "edge"):
    if importlib.util.find_spec(top) is None:
        continue
    for found in pkgutil.walk_packages(importlib.import_module(top).__path__, top + "."):
        if found.name == "predictor.engines.openvino":
            continue  # the one module of an engine that is installed apart
        try:
            importlib.import_module(found.name)
        except ImportError as error:
            failed.append(f"{found.name}: {error}")
print(json.dumps(failed))
"""


def test_numpy_starts_no_threads_of_its_own(server: Container) -> None:
    assert server.python("import json, os, numpy; print(json.dumps(len(os.listdir('/proc/self/task'))))") == 1


def test_nothing_can_be_written_but_to_the_mounts(server: Container, request: pytest.FixtureRequest) -> None:
    name = request.node.callspec.params["server"]
    writable = set(server.python(WRITABLE))
    shared = {"/run/kserve-vision"} if name != "edge" else set()

    assert {path for path in writable if not path.startswith("/run/kserve-vision/")} == {"/tmp", *shared}


def test_it_keeps_no_files_of_its_installation(server: Container) -> None:
    assert server.python(LEFT_BEHIND) == []


LEFT_BEHIND = """
import json, pathlib
names = ("pip", "pip.conf", "pip-certificates.pem", ".cache", "tests")
folders = [pathlib.Path(each) for each in ("/build", "/etc", "/opt", "/root", "/run", "/tmp", "/usr/local")]
print(json.dumps([str(path) for folder in folders for path in folder.rglob("*") if path.name in names]))
"""
