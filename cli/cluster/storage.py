"""Where a model lies: the addresses that KServe takes, and what each needs."""

from __future__ import annotations

import difflib
from typing import Final
from urllib.parse import urlsplit

SCHEMES: Final = {
    "s3": "s3://bucket/path",
    "gs": "gs://bucket/path",
    "pvc": "pvc://claim/path",
    "oci": "oci://registry/model:tag",
    "hf": "hf://organisation/model",
    "https": "https://host/model.tar.gz",
    "http": "http://host/model.tar.gz",
    "hdfs": "hdfs://path",
    "webhdfs": "webhdfs://path",
    "oci+native": "oci+native://registry/model:tag",
}
"""Those that KServe's controller takes (`SupportedStorageURIPrefixList`), with an example, but for `file`."""
ALIASES: Final = {"gcs": "gs", "s3a": "s3", "s3n": "s3", "huggingface": "hf", "docker": "oci", "pv": "pvc"}
ARCHIVES: Final = (".tar", ".tar.gz", ".tgz", ".zip")
WHERE: Final = (
    "put it where the cluster can read it, and say where with --uri: a bucket (aws s3 cp --recursive {0} "
    "s3://bucket/{1}, then --uri s3://bucket/{1}), a volume claim (pvc://claim/{1}), or an image (oci://registry/{1}:1)"
)


class BadAddress(ValueError):
    """KServe cannot fetch a model from there; the message says why."""


def is_address(text: str) -> bool:
    """Whether this is an address, and no folder of this machine."""
    return "://" in text


def check_address(uri: str) -> None:
    """Make sure that KServe knows how to fetch from an address. Whether something is there is not asked.

    Raises:
        BadAddress: it does not.
    """
    scheme, _, rest = uri.partition("://")
    if not rest and ":" not in uri:
        raise BadAddress(f"{uri!r} is no address: give one such as {SCHEMES['s3']}")
    if scheme == "file":
        raise BadAddress(f"{uri} would be a file of the pod's own: use a volume claim, {SCHEMES['pvc']}")
    if scheme not in SCHEMES:
        near = ALIASES.get(scheme.lower()) or next(iter(difflib.get_close_matches(scheme.lower(), SCHEMES)), None)
        meant = f"; did you mean {near}://{rest}?" if near else ""
        raise BadAddress(f"{uri}: KServe fetches models from {', '.join(SCHEMES)}, not from {scheme!r}{meant}")
    if not rest.strip("/"):
        raise BadAddress(f"{uri} names no place: give one such as {SCHEMES[scheme]}")
    if any(not letter.isprintable() or letter.isspace() for letter in uri):
        raise BadAddress(f"{uri!r} holds a blank or a character that cannot be printed")
    if scheme in ("http", "https"):
        _check_download(uri)


def _check_download(uri: str) -> None:
    parts = urlsplit(uri)
    if parts.username or parts.password:
        raise BadAddress("the address holds a password, which anybody who reads the InferenceService would see")
    blob = parts.hostname is not None and parts.hostname.endswith(".core.windows.net")
    if not blob and not parts.path.endswith(ARCHIVES):
        raise BadAddress(
            f"{uri}: over HTTP KServe fetches one file, and a model directory is several: pack it, as "
            f"{SCHEMES['https']} ({', '.join(ARCHIVES)})"
        )
