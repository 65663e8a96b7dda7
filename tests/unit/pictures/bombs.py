"""Pictures made to harm: a few bytes that claim many pixels."""

from __future__ import annotations

import io
import struct
import zlib

from PIL import Image


def chunk(name: bytes, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload)) + name + payload + struct.pack(">I", zlib.crc32(name + payload))


def png(width: int, height: int, pixels: bytes = b"\0" * 64, *before: bytes) -> bytes:
    """An 8-bit RGB PNG of any size, whose pixel data is `pixels`, compressed; `before` are chunks ahead of it."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(pixels, 9))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(before) + body + chunk(b"IEND", b"")


def bmp(width: int, height: int, *, compression: int = 0, bits: int = 24, payload: bytes = b"\0" * 64) -> bytes:
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + len(payload), 0, 0, 54) + header + payload


def gif(canvas: tuple[int, int], frame: tuple[int, int, int, int], *, disposal: int = 0) -> bytes:
    """A GIF of two colors with one frame (left, top, width, height) that holds a single pixel's data."""
    control = b"\x21\xf9\x04" + bytes([disposal << 2, 0, 0, 0]) + b"\0"
    pixel = b"\x02\x02\x44\x01\x00"
    colors = b"\0\0\0\xff\xff\xff"
    screen = struct.pack("<HHBBB", *canvas, 0x80, 0, 0)
    return b"GIF89a" + screen + colors + control + b"," + struct.pack("<HHHHB", *frame, 0) + pixel + b";"


def webp(width: int, height: int) -> bytes:
    """A WebP whose extended header claims `width` x `height`, around a picture of 1 x 1."""
    buffer = io.BytesIO()
    Image.new("RGB", (1, 1)).save(buffer, "WEBP")
    canvas = struct.pack("<I", 0) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"WEBP" + b"VP8X" + struct.pack("<I", 10) + canvas + buffer.getvalue()[12:]
    return b"RIFF" + struct.pack("<I", len(body)) + body


def jpeg(width: int, height: int, *, quality: int = 75, **options: object) -> bytes:
    """A real JPEG of 16 x 16 whose frame header claims `width` x `height`."""
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), (200, 30, 30)).save(buffer, "JPEG", quality=quality, **options)
    whole = bytearray(buffer.getvalue())
    marker = b"\xff\xc2" if options.get("progressive") else b"\xff\xc0"
    struct.pack_into(">HH", whole, whole.index(marker) + 5, height, width)
    return bytes(whole)


def many_scans(count: int) -> bytes:
    """A progressive JPEG whose last scan is repeated until there are more than `count`."""
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), (200, 30, 30)).save(buffer, "JPEG", progressive=True)
    whole = buffer.getvalue()
    last = whole.rindex(b"\xff\xda")
    return whole[:-2] + whole[last:-2] * count + b"\xff\xd9"
