"""The first step: what a picture is and whether it is allowed, before a pixel of it is allocated."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from serving.errors import ImageEmpty, ImageTooLarge, ImageUnsupported
from transformer.pictures.faults import PILLOW_FAULTS, corrupt
from transformer.pictures.formats import FORMATS, Outline, Weight
from transformer.pictures.limits import Limits
from transformer.pictures.orientation import orientation_of, turned_size
from transformer.pictures.sniff import known_format, looks_like


@dataclass(frozen=True, slots=True)
class Header:
    """A picture that is within the limits, still encoded.

    `width` and `height` are those of the picture as a person sees it, after the EXIF turn.
    """

    format: str
    """Pillow's name: JPEG, PNG, …; an MPO is a JPEG."""
    width: int
    height: int
    orientation: int
    """EXIF's, 1 to 8, still to be applied."""
    frames: int
    stream: bytes = field(repr=False)
    """What the decoder reads: the encoded picture without metadata."""
    weight: Weight


def read_header(encoded: bytes | bytearray | memoryview, limits: Limits) -> Header:
    """Tell what `encoded` is from its container alone, in microseconds, whatever size it claims.

    Of a lossless WebP the first bits are read too, which takes milliseconds.

    Raises:
        ImageEmpty: there are no bytes, or a side has no pixels.
        ImageTooLarge: bytes, pixels, a side or frames are over the limit, with `unit`, `limit` and `found`.
        ImageUnsupported: not a picture, or of a format that is not allowed.
        ImageCorrupt: an allowed format, with a container that makes no sense.
    """
    size = memoryview(encoded).nbytes
    if size == 0:
        raise ImageEmpty("there are no bytes where a picture should be")
    _check("bytes", size, limits.max_bytes)
    whole = bytes(encoded)  # `bytes` of bytes is no copy
    name = _allowed_format(whole, limits)
    outline = _outline(name, whole)
    _check_size(name, outline, limits)
    orientation = orientation_of(outline.exif)
    width, height = turned_size((outline.width, outline.height), orientation)
    copied = 0 if outline.stream is whole else len(outline.stream)
    weight = replace(outline.weight, beside=outline.weight.beside + copied)
    return Header(name, width, height, orientation, outline.frames, outline.stream, weight)


def check_memory(header: Header, needed: int, limits: Limits) -> None:
    """Raise `ImageTooLarge` for a picture that needs more bytes of memory than one may take."""
    if needed > limits.max_memory:
        raise ImageTooLarge(
            f"to decode this {header.format} ({header.width}x{header.height}) takes {needed} bytes of memory: at most "
            f"{limits.max_memory} are allowed (MAX_DECODE_MB); send it smaller",
            unit="bytes of memory",
            limit=limits.max_memory,
            found=needed,
        )


def _allowed_format(encoded: bytes, limits: Limits) -> str:
    """Return the format that `encoded` begins as."""
    name = known_format(encoded)
    if name in limits.formats:
        return name
    kind = name or looks_like(encoded)
    allowed = [one for one in FORMATS if one in limits.formats]
    *others, last = allowed
    choice = f"{', '.join(others)} or {last}" if others else last
    raise ImageUnsupported(
        f"this looks like {kind}, which is not read here: send {choice}",
        looks_like=kind,
        allowed=allowed,
    )


def _outline(name: str, encoded: bytes) -> Outline:
    try:
        return FORMATS[name].outline(encoded)
    except PILLOW_FAULTS as error:
        raise corrupt(name, error) from error


def _check_size(name: str, outline: Outline, limits: Limits) -> None:
    """Refuse a picture without pixels, with too many, or with more than its bytes can stand for."""
    pixels = outline.width * outline.height
    if pixels == 0:
        raise ImageEmpty(
            f"the picture is {outline.width}x{outline.height}: it has no pixels",
            width=outline.width,
            height=outline.height,
        )
    _check("pixels", pixels, limits.max_pixels, outline)
    _check("pixels a side", max(outline.width, outline.height), limits.max_side, outline)
    _check("frames", outline.frames, limits.max_frames)
    if outline.holds is not None and pixels > outline.holds:
        raise corrupt(
            name, f"its header says {outline.width}x{outline.height}, and its data cannot hold so many pixels"
        )


def _check(unit: str, found: int, limit: int, outline: Outline | None = None) -> None:
    if found > limit:
        size = f" ({outline.width}x{outline.height})" if outline else ""
        raise ImageTooLarge(
            f"the picture has {found} {unit}{size}: at most {limit} are allowed", unit=unit, limit=limit, found=found
        )
