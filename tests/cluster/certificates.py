"""A certificate authority for one run of the tests, and what it signs."""

from __future__ import annotations

import datetime as dt
import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.cluster.daemons import HOST

LIFE: Final = dt.timedelta(days=1)
SERVER_NAMES: Final = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")


@dataclass(frozen=True)
class Pair:
    """A certificate and its private key, as PEM files."""

    certificate: Path
    key: Path


class Authority:
    """Signs server certificates for loopback. Its own certificate is `bundle`, a PEM file."""

    def __init__(self, folder: Path) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named("kserve-vision tests")
        builder = _valid(x509.CertificateBuilder()).subject_name(self._name).issuer_name(self._name)
        builder = builder.public_key(self._key.public_key()).serial_number(x509.random_serial_number())
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        self.bundle = folder / "ca.crt"
        self.bundle.write_bytes(_pem(builder.sign(self._key, hashes.SHA256())))

    def serving_pair(self, folder: Path, name: str) -> Pair:
        """A certificate for a server on loopback, `NAME.crt` and `NAME.key` in `folder`."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = [*map(x509.DNSName, SERVER_NAMES), x509.IPAddress(ipaddress.ip_address(HOST))]
        builder = _valid(x509.CertificateBuilder()).subject_name(_named(name)).issuer_name(self._name)
        builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        pair = Pair(folder / f"{name}.crt", write_key(key, folder / f"{name}.key"))
        pair.certificate.write_bytes(_pem(builder.sign(self._key, hashes.SHA256())))
        return pair


def write_key(key: ec.EllipticCurvePrivateKey, path: Path) -> Path:
    """Write a private key for its owner's eyes only, and return the path."""
    path.touch(mode=0o600)
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
    )
    return path


def signing_key(folder: Path) -> Path:
    """A key that service accounts' tokens are signed with."""
    return write_key(ec.generate_private_key(ec.SECP256R1()), folder / "service-accounts.key")


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _valid(builder: x509.CertificateBuilder) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return builder.not_valid_before(now - LIFE).not_valid_after(now + LIFE)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
