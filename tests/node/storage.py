"""A stand-in for KServe's storage initializer, whose image cannot be had without a registry.

It runs in one of our images, fetches nothing, and fails as the real one fails for a bucket that does not exist: the
lines were written by kserve-storage 0.20.0 and its `initializer-entrypoint`, asked of a store that answers 404.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tests.cluster.cluster import Cluster

STAND_IN: Final = "stand-in-storage-initializer"
MANIFEST: Final = Path(__file__).parents[2] / "manifests/runtimes/storage"
PYTHON: Final = "/opt/kserve-vision/bin/python"
FAILED: Final = "Storage initialization failed: S3 resource 'nowhere' not found."
LINES: Final = """
storage.initializer INFO [kserve_storage.py:download():168] Copying contents of s3://nowhere/model to local
storage.initializer ERROR [storage_errors.py:raise_storage_error():42] S3 error for s3://nowhere/model: \
An error occurred (404) when calling the HeadBucket operation: Not Found
storage.initializer ERROR [initializer-entrypoint:<module>():28] """
"""What it logs before that, without its time and process number."""


def install_stand_in(cluster: Cluster) -> None:
    """Apply the storage container of the manifests, with the stand-in in it, under its own name."""
    (container,) = cluster.command_line.render_kustomize(MANIFEST)
    container["metadata"]["name"] = STAND_IN
    # KServe takes any that lists the address, also for a model that names no storage container.
    container["spec"]["supportedUriFormats"] = [{"prefix": "s3://nowhere/"}]
    program = f"import sys; print({LINES + FAILED!r}, file=sys.stderr); sys.exit(1)"
    container["spec"]["container"] |= {
        "image": "kserve-vision-transformer:0.1.0",
        "command": [PYTHON, "-I", "-c", program],
    }
    cluster.apply([container])
