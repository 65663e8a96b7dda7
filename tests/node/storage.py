"""A store that speaks S3 and checks keys, on the node's address, and what opens it to a namespace's models.

What fetches from it is KServe's storage initializer: its package and its entry point, in an image of this checkout's.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from tests.cluster.cluster import Cluster
from tests.cluster.daemons import Daemon
from tests.node.isolation import ADDRESS

PORT: Final = 9000
BUCKET: Final = "models"
RESTRICTED: Final = "kserve-vision-restricted"
"""The storage container of the manifests."""
STORAGE_CONTAINER: Final = Path(__file__).parents[2] / "manifests/runtimes/storage"
REGION: Final = "eu-central-1"
SIGNED_FOR_IAM: Final = f"AWS4-HMAC-SHA256 Credential=nobody/20260101/{REGION}/iam/aws4_request"
"""All of a signature that is read until keys are checked."""
READS: Final = ("s3:GetObject", "s3:HeadBucket", "s3:ListBucket")
"""`HeadBucket` is the store's own name for what AWS calls `ListBucket`."""


@dataclass(frozen=True)
class Keys:
    """What a user of the store signs with."""

    name: str
    secret: str


class Store:
    """A running store with one bucket."""

    endpoint: Final = f"{ADDRESS}:{PORT}"
    owner: Keys
    """May read every bucket."""
    stranger: Keys
    """May do nothing."""

    def __init__(self, log: Path) -> None:
        command = [sys.executable, "-m", "moto.server", f"--host={ADDRESS}", f"--port={PORT}"]
        self.daemon = Daemon(command, log, {"INITIAL_NO_AUTH_ACTION_COUNT": "infinity"})
        self._client = httpx.Client(base_url=f"http://{self.endpoint}", trust_env=False)
        self.daemon.wait_until(lambda: self._client.get("/moto-api/data.json").is_success)
        self._send("PUT", f"/{BUCKET}")
        self.owner, self.stranger = self._make_user("owner"), self._make_user("stranger")
        rights = {"Effect": "Allow", "Action": READS, "Resource": "*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [rights]})
        self._manage("PutUserPolicy", UserName="owner", PolicyName="reads", PolicyDocument=policy)

    def put(self, directory: Path, *prefixes: str) -> None:
        """Keep the files of a model directory below each of these paths in the bucket."""
        for each in directory.iterdir():
            for prefix in prefixes:
                self._send("PUT", f"/{BUCKET}/{prefix}/{each.name}", each.read_bytes())

    def check_keys(self) -> None:
        """From now on do nothing for who does not sign, or may not."""
        self._send("POST", "/moto-api/reset-auth", "0")

    def stop(self) -> None:
        """End it."""
        self._client.close()
        self.daemon.stop()

    def _make_user(self, name: str) -> Keys:
        self._manage("CreateUser", UserName=name)
        made = self._manage("CreateAccessKey", UserName=name)
        found = [re.search(f"<{each}>(.+?)<", made) for each in ("AccessKeyId", "SecretAccessKey")]
        return Keys(*(each[1] for each in found if each))

    def _manage(self, action: str, **fields: str) -> str:
        form = {"Action": action, "Version": "2010-05-08", **fields}
        answer = self._client.post("/", data=form, headers={"Authorization": SIGNED_FOR_IAM})
        return answer.raise_for_status().text

    def _send(self, method: str, path: str, content: bytes | str = b"") -> None:
        self._client.request(method, path, content=content).raise_for_status()


def open_store(
    cluster: Cluster, namespace: str, keys: Keys, *, endpoint: str = Store.endpoint, name: str = "s3"
) -> None:
    """Make a Secret and the ServiceAccount `models`, as docs/kubernetes.md does; this store has no TLS."""

    def kubectl(*arguments: str) -> None:
        cluster.command_line.kubectl("-n", namespace, *arguments)

    kept = (f"AWS_ACCESS_KEY_ID={keys.name}", f"AWS_SECRET_ACCESS_KEY={keys.secret}")
    kubectl("create", "secret", "generic", name, *(f"--from-literal={each}" for each in kept))
    told = (f"s3-endpoint={endpoint}", f"s3-region={REGION}", "s3-usehttps=0")
    kubectl("annotate", "secret", name, *(f"serving.kserve.io/{each}" for each in told))
    kubectl("create", "serviceaccount", "models")
    kubectl("patch", "serviceaccount", "models", "-p", json.dumps({"secrets": [{"name": name}]}))


def install_storage_container(cluster: Cluster, prefix: str, *, name: str = RESTRICTED, image: str = "") -> None:
    """Apply the storage container of the manifests, for addresses that begin so."""
    (container,) = cluster.command_line.render_kustomize(STORAGE_CONTAINER)
    container["metadata"]["name"] = name
    container["spec"]["supportedUriFormats"] = [{"prefix": prefix}]
    container["spec"]["container"]["image"] = image or container["spec"]["container"]["image"]
    cluster.apply([container])
