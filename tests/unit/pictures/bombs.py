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


class Bits:
    """Bits of VP8L, the lowest of each byte first."""

    def __init__(self) -> None:
        self.bits: list[int] = []

    def add(self, *numbers: tuple[int, int]) -> None:
        """Append numbers, each with its count of bits."""
        for value, count in numbers:
            self.bits += [value >> place & 1 for place in range(count)]

    def one_symbol(self, times: int = 1) -> None:
        """Append codes of the symbol 0 alone."""
        self.add(*[(0b0001, 4)] * times)

    def two_symbols(self) -> None:
        """Append the code of 0 and 1, of a bit each."""
        self.add((0b0011, 4), (1, 8))

    def all_bytes(self, symbols: int) -> None:
        """Append the code whose first 256 symbols take 8 bits each, of so many symbols."""
        order = (17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8)
        self.add((0, 1), (len(order) - 4, 4), *((int(length in {0, 8}), 3) for length in order), (0, 1))
        self.add(*((int(symbol < 256), 1) for symbol in range(symbols)))

    def byte(self, value: int) -> None:
        """Append a symbol of `all_bytes`."""
        self.add((int(f"{value:08b}"[::-1], 2), 8))

    def __bytes__(self) -> bytes:
        text = "".join(map(str, self.bits[::-1]))
        return int(text, 2).to_bytes(-(-len(self.bits) // 8), "little")


def lossless(side: int, *, has_transforms: bool = False) -> bytes:
    """Black pixels, `side` x `side`, as VP8L stores them, with as many prefix codes as there can be: one group for each
    4x4. A few transforms may be ahead of them.
    """
    bits = Bits()
    blocks = (side // 4) ** 2
    if has_transforms:
        for kind in (0, 1):  # by prediction, and between colors
            bits.add((1, 1), (kind, 2), (0, 3), (0, 1))
            bits.two_symbols()
            bits.one_symbol(4)
            bits.add(*[(1, 1)] * blocks)
        bits.add((1, 1), (2, 2))  # less green
    bits.add((0, 1), (0, 1), (1, 1), (0, 3), (0, 1))
    bits.all_bytes(256 + 24)
    bits.all_bytes(256)
    bits.one_symbol(3)
    for block in range(blocks):
        bits.byte(block & 255)
        bits.byte(block >> 8)
    bits.one_symbol(5 * blocks)
    return bytes(bits)


def _riff(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"".join(name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) & 1) for name, data in chunks)
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def webp_of_many_codes(side: int, container: str) -> bytes:
    """A WebP whose prefix codes take twenty times more memory than its pixels: `plain`, with `transforms`, as `alpha`
    of a lossy one, in an `animation`, or in one behind `frames` that decoders pass over, as they have no picture.
    """
    header = b"\x2f" + struct.pack("<I", side - 1 | side - 1 << 14)
    sides = 2 * (side - 1).to_bytes(3, "little")
    if container == "alpha":
        buffer = io.BytesIO()
        Image.new("RGB", (side, side)).save(buffer, "WEBP")
        extended = b"\x10\0\0\0" + sides
        return _riff((b"VP8X", extended), (b"ALPH", b"\x01" + lossless(side)), (b"VP8 ", buffer.getvalue()[20:]))
    picture = header + lossless(side, has_transforms=container == "transforms")
    if container in {"animation", "frames"}:
        frame = bytes(6) + sides + bytes(4)
        others = [(b"ANMF", frame), (b"ANMF", frame + b"none\4\0\0\0none")] if container == "frames" else []
        extended = b"\x02\0\0\0" + sides
        last = frame + _riff((b"VP8L", picture))[12:]
        return _riff((b"VP8X", extended), (b"ANIM", bytes(6)), *others, (b"ANMF", last))
    return _riff((b"VP8L", picture))
