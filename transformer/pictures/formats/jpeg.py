"""JPEG (ITU-T T.81): the markers up to the first scan, and how many scans there are.

Application segments are left out of the stream, but for JFIF's and Adobe's, which say what the components mean.
So nothing of EXIF, ICC, XMP, MPF or Photoshop reaches the decoder, which reads an MPO as the JPEG that it begins with.
"""

from __future__ import annotations

import re
import struct
from dataclasses import replace

from serving.errors import ImageTooLarge, ImageUnsupported
from transformer.pictures.formats.outline import COLOR, FOUR_CHANNELS, GREY, Outline

MAX_SCANS = 100
"""The most scans of one picture; encoders write about ten. A scan can be a few bytes long and still cost a pass over
all pixels: "Two Issues with the JPEG Standard", Commander and Markham, 2016, issue LJT-01-003."""

MAX_BETWEEN = 64 * 1024
"""The most bytes between two segments, where a picture has none, or a few that fill it up: each is looked at."""

_EOI, _SOS, _FILL = 0xD9, 0xDA, 0xFF
_STANDALONE = frozenset({0x00, 0x01, *range(0xD0, 0xD9)})
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_APP0, _APP1, _APP14, _COMMENT = 0xE0, 0xE1, 0xEE, 0xFE
_DROPPED = frozenset({*range(0xE0, 0xF0), _COMMENT}) - {_APP0, _APP14}
_LENGTH = 2
_BITS = 8
_BLOCK = 8
_COEFFICIENT = 2
_WEIGHTS = {1: GREY, 3: COLOR, 4: FOUR_CHANNELS}
"""By the number of components."""
_EXIF = b"Exif\0\0"
_MARKER_IN_SCAN = re.compile(rb"\xff+[^\x00\xff\xd0-\xd7]")


def is_jpeg(head: bytes) -> bool:
    """Whether `head` begins as a JPEG does."""
    return head.startswith(b"\xff\xd8\xff")


def outline(encoded: bytes) -> Outline:
    """Read the segments before the first scan.

    Raises:
        ValueError: the segments do not follow one another up to a scan.
        ImageTooLarge: there are more than `MAX_SCANS` scans.
        ImageUnsupported: the samples are not 8 bits, or the components not 1, 3 or 4.
    """
    kept: list[bytes | memoryview] = [encoded[:2]]
    view = memoryview(encoded)
    frame: tuple[int, int, int, bool] | None = None
    header = b""
    exif = b""
    position = 2
    while True:
        marker, start, end = _segment(encoded, position)
        if marker == _SOS:
            break
        if marker in _FRAMES:
            if frame is not None:
                raise ValueError("it has two frame headers")
            header = encoded[start + 4 : end]
            frame = _frame(marker, header)
        elif marker == _APP1 and not exif and encoded.startswith(_EXIF, start + 4):
            exif = encoded[start + 4 + len(_EXIF) : end]
        if marker not in _DROPPED:
            kept.append(view[start:end])
        position = end
    if frame is None:
        raise ValueError("its pixels come before its frame header")
    width, height, components, progressive = frame
    weight = _WEIGHTS[components]
    if progressive or encoded[start + 4] < components:
        _check_scans(encoded, end)
        weight = replace(weight, beside=_coefficients(width, height, header))
    return Outline(width, height, b"".join([*kept, view[start:]]), weight, exif=exif)


def _segment(encoded: bytes, position: int) -> tuple[int, int, int]:
    """Return the next segment's marker, where it begins and where it ends, skipping what stands between segments."""
    last = position + MAX_BETWEEN
    while True:
        position = encoded.find(b"\xff", position)
        if position < 0 or position + 4 > len(encoded):
            raise ValueError("it ends before its pixels begin")
        if position > last:
            raise ValueError(f"more than {MAX_BETWEEN} bytes stand between two segments")
        marker = encoded[position + 1]
        if marker == _EOI:
            raise ValueError("it ends before its pixels begin")
        if marker == _FILL:
            position += 1
        elif marker in _STANDALONE:
            position += 2
        else:
            break
    (length,) = struct.unpack_from(">H", encoded, position + 2)
    end = position + 2 + length
    if length < _LENGTH or end > len(encoded):
        raise ValueError(f"the segment of marker {marker:02X} is cut off")
    return marker, position, end


def _frame(marker: int, header: bytes) -> tuple[int, int, int, bool]:
    """Read a frame header (T.81, B.2.2): width, height, components, and whether it is progressive."""
    precision, height, width, components = struct.unpack_from(">BHHB", header)
    if precision != _BITS or components not in {1, 3, 4}:
        raise ImageUnsupported(
            f"this JPEG has {components} components of {precision} bits: send 1, 3 or 4 components of 8 bits",
            bits=precision,
            components=components,
        )
    return width, height, components, marker in _PROGRESSIVE


def _coefficients(width: int, height: int, header: bytes) -> int:
    """Return the bytes of all coefficients: of a picture in several scans, they are kept from the first to the last."""
    factors = [(each >> 4, each & 15) for each in header[7::3]]
    across, down = max(h for h, _ in factors), max(v for _, v in factors)
    units = -(-width // (across * _BLOCK)) * -(-height // (down * _BLOCK))
    return units * sum(h * v for h, v in factors) * _BLOCK * _BLOCK * _COEFFICIENT


def _check_scans(encoded: bytes, position: int) -> None:
    """Count the scans up to the end of the first picture, whose first scan's pixels begin at `position`."""
    # A plain search is much faster, and finds at least as many: what a phone appends may hold the same two bytes.
    if encoded.count(b"\xff\xda", position) < MAX_SCANS:
        return
    scans = 1
    while (match := _MARKER_IN_SCAN.search(encoded, position)) is not None:
        marker = encoded[match.end() - 1]
        if marker == _EOI or match.end() + 2 > len(encoded):
            return
        scans += marker == _SOS
        if scans > MAX_SCANS:
            raise ImageTooLarge(
                f"this JPEG has more than {MAX_SCANS} scans: save it as a baseline JPEG",
                limit=MAX_SCANS,
                found=scans,
                unit="scans",
            )
        (length,) = struct.unpack_from(">H", encoded, match.end())
        position = match.end() + length
