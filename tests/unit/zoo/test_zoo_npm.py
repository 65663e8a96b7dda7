"""Downloading with the real npm, from a registry of this process."""

from __future__ import annotations

import functools
import hashlib
import io
import json
import shutil
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typing_extensions import override

from zoo.clients import NPM
from zoo.errors import PackageMismatch, PackageUnavailable
from zoo.packages import fetch
from zoo.recipe import Package

NAME = "@somebody/tiny-weights"
ARCHIVE = "somebody-tiny-weights-1.0.0.tgz"

needs_npm = pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")


def say_nothing(_: str) -> None:
    pass


@functools.cache
def packed() -> bytes:
    """A package whose scripts leave a file behind if anyone runs them."""
    scripts = dict.fromkeys(("prepack", "prepare", "preinstall", "postinstall"), "touch ran")
    manifest = {"name": NAME, "version": "1.0.0", "scripts": scripts}
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as package:
        for name, content in (("package.json", json.dumps(manifest).encode()), ("weights.bin", bytes(1000))):
            info = tarfile.TarInfo(f"package/{name}")
            info.size = len(content)
            package.addfile(info, io.BytesIO(content))
    return file.getvalue()


@pytest.fixture
def registry() -> Iterator[str]:
    """The registry's address. It has one release of one package."""
    archive = packed()

    class Registry(BaseHTTPRequestHandler):
        @override
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            path = self.path.lower().replace("%2f", "/")
            address = f"http://{self.headers['Host']}"
            if path == "/tiny.tgz":
                self.answer(200, archive)
            elif path == f"/{NAME}":
                dist = {"tarball": f"{address}/tiny.tgz", "shasum": hashlib.sha1(archive).hexdigest()}  # noqa: S324 - npm's
                release = {"name": NAME, "version": "1.0.0", "dist": dist}
                packument = {"name": NAME, "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": release}}
                self.answer(200, json.dumps(packument).encode())
            else:
                self.answer(404, b"{}")

        def answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with ThreadingHTTPServer(("127.0.0.1", 0), Registry) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def package(registry: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Package:
    monkeypatch.setenv("npm_config_registry", registry)
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "npm"))
    monkeypatch.setenv("npm_config_fetch_retries", "0")
    monkeypatch.chdir(tmp_path)
    return Package(NAME, "1.0.0", ARCHIVE, hashlib.sha256(packed()).hexdigest(), index="npm")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def leftovers(cache: Path) -> list[str]:
    return [path.name for path in (cache / "packages").iterdir()]


@needs_npm
def test_the_users_own_npm_configuration_says_where_the_archive_comes_from(package: Package, cache: Path) -> None:
    steps: list[str] = []
    archive = fetch(package, cache, progress=steps.append)
    assert archive.read_bytes() == packed()
    assert steps == ["Downloading npm @somebody/tiny-weights@1.0.0 with npm"]
    assert leftovers(cache) == [ARCHIVE]


@needs_npm
def test_no_script_of_the_package_runs(package: Package, cache: Path, tmp_path: Path) -> None:
    fetch(package, cache, progress=say_nothing)
    assert not list(tmp_path.rglob("ran"))


@needs_npm
def test_another_archive_than_the_recipes_is_refused_and_not_kept(package: Package, cache: Path) -> None:
    with pytest.raises(PackageMismatch, match=f"has SHA-256 {package.sha256} where the recipe expects 0000"):
        fetch(replace(package, sha256="0" * 64), cache, progress=say_nothing)
    assert leftovers(cache) == []


@needs_npm
@pytest.mark.parametrize(("name", "version", "code"), [(NAME, "2.0.0", "ETARGET"), ("unheard-of", "1.0.0", "E404")])
def test_what_the_registry_does_not_have_is_said_so(
    name: str, version: str, code: str, package: Package, cache: Path
) -> None:
    with pytest.raises(PackageUnavailable, match=rf"configured with does not have it\. npm said: {code} \w+"):
        fetch(replace(package, name=name, version=version), cache, progress=say_nothing)


@needs_npm
def test_a_registry_that_cannot_be_reached_is_said_so(
    package: Package, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9")
    with pytest.raises(
        PackageUnavailable, match=r"the npm registry cannot be reached\. npm said: ECONNREFUSED"
    ) as raised:
        fetch(package, cache, progress=say_nothing)
    assert f"put {ARCHIVE} into {cache / 'packages'} by hand" in str(raised.value)


@needs_npm
def test_any_other_failure_gives_npms_own_words(package: Package, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("npm_config_offline", "true")
    with pytest.raises(PackageUnavailable, match=r"npm ended with status 1\. It said: ENOTCACHED"):
        fetch(package, cache, progress=say_nothing)


def test_a_machine_without_npm_is_told_what_brings_it(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    package = Package(NAME, "1.0.0", ARCHIVE, "0" * 64, index="npm")
    with pytest.raises(PackageUnavailable, match=r"npm is not installed; it comes with Node\.js") as raised:
        fetch(package, cache, progress=say_nothing)
    assert f"put {ARCHIVE} into {cache / 'packages'} by hand" in str(raised.value)
    assert leftovers(cache) == []


def test_a_cached_archive_needs_no_npm(cache: Path) -> None:
    (cache / "packages").mkdir(parents=True)
    (cache / "packages" / ARCHIVE).write_bytes(packed())
    package = Package(NAME, "1.0.0", ARCHIVE, hashlib.sha256(packed()).hexdigest(), index="npm")
    nowhere = replace(NPM, command=("/nonexistent/npm",))
    assert fetch(package, cache, progress=say_nothing, client=nowhere).name == ARCHIVE
