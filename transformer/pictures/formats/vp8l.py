"""VP8L (RFC 9649, section 3), in which WebP stores without loss: how much memory its prefix codes take.

They come in groups of five. A picture has one group, or one for each of its blocks, of 4x4 pixels at least: a few bits
of the file, which take kilobytes of memory. How large the blocks are is said behind the transforms, which hold small
pictures of their own, with one group each. So these are read, as far as it takes to find where they end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Final

MAX_SYMBOLS: Final = 2**18
"""The most pixels, or repeats of them, of one transform that are read over. Encoders write one for every 256 pixels of
the picture at most. Behind more, the blocks are taken to be the smallest."""

_PREDICTOR, _COLOR, _PALETTE = 0, 1, 3
_PALETTE_BITS: Final = ((2, 3), (4, 2), (16, 1))
"""Up to how many colors how many bits of the width are dropped, since that many pixels are stored as one."""
_SMALLEST: Final = 2
"""Bits of a block's side."""
_MAX_GROUPS: Final = 2**16
_MIN_BITS: Final = 5 * 4
"""Of a group in the file: five codes of one symbol each."""
_BYTES: Final = 600 + 4 * (3 * 630 + 410)
"""Of a group in memory: libwebp's `HTreeGroup`, and the tables of red, blue, alpha and distances at their largest
(`kTableSize`)."""
_GREEN_BYTES: Final = tuple(4 * size for size in (654, 656, 658, 662, 670, 686, 718, 782, 912, 1168, 1680, 2704))
"""Of the table of green at its largest, by the bits of the color cache."""

_CHANNEL, _LENGTHS, _DISTANCES = 256, 24, 40
"""How many symbols there are of each kind."""
_WHOLE: Final = 4
"""The first symbol of an amount that more bits follow."""
_ORDER: Final = (17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
"""In which the lengths of the code of lengths are stored."""
_FIRST_BEFORE: Final = 8
"""The length that is repeated where none was before."""
_REPEATS: Final = {16: (3, 2), 17: (3, 3), 18: (11, 7)}
"""How often a length is repeated at least, and the bits of how much more: the one before, 0 and 0."""


def prefix_code_bytes(encoded: bytes, start: int, end: int, width: int, height: int) -> int:
    """Return the bytes of memory that the prefix codes of a picture of `width` x `height` take at most.

    Its transforms begin at `start`, and its pixels end at `end`.

    Raises:
        ValueError: it ends before its pixels, or no decoder could read it.
    """
    bits = _Bits(encoded, 8 * start, 8 * end)
    try:
        blocks, cache = _blocks(bits, width, height)
    except _TooManySymbolsError:
        blocks, cache = _parts(width, height, _SMALLEST), len(_GREEN_BYTES) - 1
    groups = min(blocks, _MAX_GROUPS, 1 + max(0, bits.end - bits.position) // _MIN_BITS)
    return groups * (_BYTES + _GREEN_BYTES[cache])


class _TooManySymbolsError(Exception):
    pass


@dataclass(slots=True)
class _Bits:
    """A stream of bits, the lowest of each byte first."""

    data: bytes
    position: int
    end: int

    def read(self, count: int) -> int:
        """Return the next bits as a number."""
        value = self.ahead() & (1 << count) - 1
        self.position += count
        return value

    def symbol(self, code: Sequence[int]) -> int:
        """Return the next symbol of `code`, as `_code` makes it."""
        entry = code[self.ahead() & len(code) - 1]
        self.position += entry & 15
        return entry >> 4

    def ahead(self) -> int:
        """Return what comes next, 65 bits at least."""
        if self.position > self.end:
            raise ValueError("it ends before its pixels")
        byte = self.position >> 3
        return int.from_bytes(self.data[byte : byte + 9], "little") >> (self.position & 7)


def _blocks(bits: _Bits, width: int, height: int) -> tuple[int, int]:
    """Return how many blocks the picture has, and the bits of its color cache."""
    seen = set()
    while bits.read(1):
        kind = bits.read(2)
        if kind in seen:
            raise ValueError("it has a transform twice")
        seen.add(kind)
        if kind in {_PREDICTOR, _COLOR}:
            _pass_picture(bits, _parts(width, height, bits.read(3) + _SMALLEST))
        elif kind == _PALETTE:
            colors = bits.read(8) + 1
            _pass_picture(bits, colors)
            width = -(-width >> next((dropped for most, dropped in _PALETTE_BITS if colors <= most), 0))
    cache = _cache_bits(bits)
    return _parts(width, height, bits.read(3) + _SMALLEST) if bits.read(1) else 1, cache


def _parts(width: int, height: int, side_bits: int) -> int:
    return prod(-(-side >> side_bits) for side in (width, height))


def _cache_bits(bits: _Bits) -> int:
    if not bits.read(1):
        return 0
    found = bits.read(4)
    if not 0 < found < len(_GREEN_BYTES):
        raise ValueError(f"it has a color cache of {found} bits")
    return found


def _pass_picture(bits: _Bits, pixels: int) -> None:
    """Read over a picture of a transform."""
    cache = _cache_bits(bits)
    green, red, blue, alpha, distance = (
        _code(bits, size)
        for size in (_CHANNEL + _LENGTHS + (1 << cache if cache else 0), _CHANNEL, _CHANNEL, _CHANNEL, _DISTANCES)
    )
    others = [code for code in (red, blue, alpha) if len(code) > 1]  # one of a single symbol takes no bits
    if len(green) == 1 and green[0] >> 4 < _CHANNEL and not others:
        return
    for _ in range(MAX_SYMBOLS):
        if pixels <= 0:
            return
        ahead = bits.ahead()
        entry = green[ahead & len(green) - 1]
        symbol, taken = entry >> 4, entry & 15
        if symbol < _CHANNEL:
            for code in others:
                taken += code[ahead >> taken & len(code) - 1] & 15
        bits.position += taken
        if _CHANNEL <= symbol < _CHANNEL + _LENGTHS:
            pixels -= _amount(bits, symbol - _CHANNEL)
            _amount(bits, bits.symbol(distance))
        else:
            pixels -= 1
    raise _TooManySymbolsError


def _amount(bits: _Bits, symbol: int) -> int:
    """Return the length or the distance that begins with `symbol`."""
    if symbol < _WHOLE:
        return symbol + 1
    more = symbol - 2 >> 1
    return (2 + (symbol & 1) << more) + bits.read(more) + 1


def _code(bits: _Bits, size: int) -> list[int]:
    """Read a code of `size` symbols: by the next bits, a symbol times 16 plus its own number of bits."""
    if not bits.read(1):
        return _table(_lengths(bits, size))
    has_two, is_byte = bits.read(1), bits.read(1)
    symbols = {bits.read(8 if is_byte else 1), *([bits.read(8)] if has_two else [])}
    return _table([int(symbol in symbols) for symbol in range(size)])


def _lengths(bits: _Bits, size: int) -> list[int]:
    """Return how many bits each of `size` symbols takes; 0 of those that do not occur."""
    count = bits.read(4) + 4
    stored = dict(zip(_ORDER, [bits.read(3) for _ in range(count)], strict=False))
    code = _table([stored.get(length, 0) for length in range(len(_ORDER))])
    left = bits.read(2 + 2 * bits.read(3)) + 2 if bits.read(1) else size
    lengths: list[int] = []
    before = _FIRST_BEFORE
    while left and len(lengths) < size:
        left -= 1
        length = bits.symbol(code)
        if length in _REPEATS:
            least, more = _REPEATS[length]
            lengths += [before if length == min(_REPEATS) else 0] * (least + bits.read(more))
        else:
            lengths.append(length)
            before = length or before
    if len(lengths) > size:
        raise ValueError("it has a prefix code of too many symbols")
    return lengths


def _table(lengths: Sequence[int]) -> list[int]:
    """Return the code whose symbols take `lengths` of bits."""
    used = sorted((length, symbol) for symbol, length in enumerate(lengths) if length)
    if len(used) == 1:
        return [used[0][1] << 4]
    longest = used[-1][0] if used else 0
    if sum(1 << longest - length for length, _ in used) != 1 << longest:
        raise ValueError("it has a prefix code that is not complete")
    table = [0] * (1 << longest)
    code = 0
    for length, symbol in used:
        first = int(f"{code:0{longest}b}"[::-1], 2)
        table[first :: 1 << length] = [symbol << 4 | length] * (1 << longest - length)
        code += 1 << longest - length
    return table
