"""What bytes look like, by how they begin: the formats of `FORMATS`, and those that people send by mistake."""

from __future__ import annotations

from transformer.pictures.formats import FORMATS

_HEAD = 1024
_SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"%!PS", "EPS"),
    (0, b"\xc5\xd0\xd3\xc6", "EPS"),
    (0, b"%PDF", "PDF"),
    (0, b"8BPS", "PSD"),
    (0, b"icns", "ICNS"),
    (0, b"\x00\x00\x01\x00", "ICO"),
    (0, b"\x00\x00\x02\x00", "CUR"),
    (0, b"\xff\x0a", "JPEG XL"),
    (4, b"JXL ", "JPEG XL"),
    (4, b"jP  ", "JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000"),
    (4, b"ftypavif", "AVIF"),
    (4, b"ftypavis", "AVIF"),
    (4, b"ftyphe", "HEIC"),
    (4, b"ftypmif1", "HEIC"),
    (4, b"ftypmsf1", "HEIC"),
    (4, b"ftyp", "MP4"),
    (0, b"\x1a\x45\xdf\xa3", "WebM"),
    (0, b"RIFF", "RIFF"),
    (0, b"qoif", "QOI"),
    (0, b"v/1\x01", "OpenEXR"),
    (128, b"DICM", "DICOM"),
    (0, b"\x93NUMPY", "NumPy array"),
    (0, b"\x1f\x8b", "gzip"),
    (0, b"\x28\xb5\x2f\xfd", "zstd"),
    (0, b"BZh", "bzip2"),
    (0, b"\xfd7zXZ\x00", "xz"),
    (0, b"PK\x03\x04", "zip"),
    (0, b"data:image/", "data URL"),
    (0, b"/9j/", "base64 text"),
    (0, b"iVBORw0KGgo", "base64 text"),
    (0, b"R0lGOD", "base64 text"),
    (0, b"UklGR", "base64 text"),
)
"""Offset, bytes, name; the first that fits is told."""


def known_format(encoded: bytes) -> str | None:
    """Return the name in `FORMATS` of the format that `encoded` begins as, or None."""
    head = encoded[:18]
    return next((name for name, kind in FORMATS.items() if kind.matches(head)), None)


def looks_like(encoded: bytes) -> str:
    """Return a name for what `encoded` begins as, for a sentence: "SVG", "gzip", "text"."""
    for offset, signature, name in _SIGNATURES:
        if encoded.startswith(signature, offset):
            return name
    return _kind_of_text(encoded[:_HEAD]) or "no format known here"


def _kind_of_text(head: bytes) -> str | None:
    """Return which kind of text `head` is, or None where it is none."""
    try:
        # The head may end within a character.
        text = head.decode(errors="ignore" if len(head) == _HEAD else "strict").lstrip("\ufeff \t\r\n").lower()
    except UnicodeDecodeError:
        return None
    if "\0" in text:
        return None
    if text.startswith("<"):
        return "SVG" if "<svg" in text else "HTML" if "<html" in text or text.startswith("<!doctype") else "XML"
    return "JSON" if text.startswith(("{", "[")) else "text"
