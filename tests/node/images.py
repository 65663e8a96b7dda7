"""The images on the node: those from podman's store, and one that holds a pod's namespaces."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import tarfile
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
PAUSE: Final = "localhost/kserve-vision-pause:test"
BUILT: Final = {
    "localhost/kserve-vision-predictor:test": ("docker.io/library/kserve-vision-predictor:0.1.0",),
    "localhost/kserve-vision-transformer:test": ("docker.io/library/kserve-vision-transformer:0.1.0",),
    "localhost/kserve-vision-storage-initializer:test": (
        "docker.io/kserve/storage-initializer:latest",
        "docker.io/kserve/storage-initializer:v0.20.0",
    ),
}
"""What `make test-node` built, and what the names in our manifests and in KServe's mean to containerd."""


def export_built(archive: Path) -> Path:
    """Write the images into one archive, which holds the layers that they share once."""
    _run("podman", "save", "--quiet", "--multi-image-archive", "--output", str(archive), *BUILT)
    return archive


def make_pause(folder: Path) -> Path:
    """Build the program and an image of nothing else, `folder/pause.tar`."""
    program = folder / "pause"
    environ = {**os.environ, "CGO_ENABLED": "0", "GO111MODULE": "off"}
    _run("go", "build", "-ldflags=-s -w", "-o", str(program), str(HERE / "pause/main.go"), environ=environ)
    return _archive(folder / "pause.tar", PAUSE, program)


def _archive(path: Path, reference: str, program: Path) -> Path:
    """An image in docker's archive format, of one layer with one program."""
    layer = _tar({program.name: (program.read_bytes(), 0o755)})
    configuration = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Entrypoint": [f"/{program.name}"], "User": "65535:65535"},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [reference], "Layers": ["layer.tar"]}]
    path.write_bytes(
        _tar(
            {
                "config.json": (json.dumps(configuration).encode(), 0o644),
                "layer.tar": (layer, 0o644),
                "manifest.json": (json.dumps(manifest).encode(), 0o644),
            }
        )
    )
    return path


def _tar(files: dict[str, tuple[bytes, int]]) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as archive:
        for name, (content, mode) in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            archive.addfile(entry, io.BytesIO(content))
    return written.getvalue()


def _run(*command: str, environ: dict[str, str] | None = None) -> None:
    done = subprocess.run(command, capture_output=True, text=True, env=environ, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr}")
