"""Where a model lies: the addresses that KServe takes, and what each needs."""

from __future__ import annotations

import difflib
from typing import Final
from urllib.parse import SplitResult, parse_qsl, urlsplit

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
SIGNATURES: Final = frozenset({"sig", "signature", "x-amz-signature", "x-goog-signature"})
"""What signs an address in a query: who has the address may read what it leads to."""
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
    parts = _parts(uri)
    _check_secrets(parts)
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
        _check_download(uri, parts)


def neighbours_of(uri: str) -> str:
    """Say what else KServe fetches from a bucket of S3, where a path is the beginning of keys; "" for nothing.

    Of a folder `cats` it fetches `cats-2` too, beside it, as `-2`.
    """
    scheme, _, rest = uri.partition("://")
    _, _, path = rest.partition("/")
    if scheme != "s3" or not path or path.endswith("/"):
        return ""
    return f"{uri}: of S3 KServe fetches all that begins so, {uri}-2 too, if it is there; {uri}/ is the folder alone"


def _parts(uri: str) -> SplitResult:
    try:
        return urlsplit(uri)
    except ValueError as error:  # an unclosed bracket
        raise BadAddress(f"this is no address ({error}): give one such as {SCHEMES['s3']}") from error


def _check_secrets(parts: SplitResult) -> None:
    """Refuse what an InferenceService would show to all who may read it, and do not repeat it."""
    # A secret key of S3 may hold a slash, and then it is no part of the host any more; no bucket has a colon.
    is_bucket = parts.scheme in ("s3", "gs")
    if parts.username or parts.password or (is_bucket and ":" in parts.netloc):
        raise BadAddress(
            "the address holds a password, which anybody who reads the InferenceService would see: keep it in a "
            "Secret, and name its account with --service-account"
        )
    if any(name.lower() in SIGNATURES for name, _ in parse_qsl(parts.query, keep_blank_values=True)):
        raise BadAddress(
            "the address is signed, and anybody who reads the InferenceService could use it until it expires: keep the "
            "store's credentials in a Secret, and name its account with --service-account"
        )


def _check_download(uri: str, parts: SplitResult) -> None:
    blob = parts.hostname is not None and parts.hostname.endswith(".core.windows.net")
    if not blob and not parts.path.endswith(ARCHIVES):
        raise BadAddress(
            f"{uri}: over HTTP KServe fetches one file, and a model directory is several: pack it, as "
            f"{SCHEMES['https']} ({', '.join(ARCHIVES)})"
        )
