"""The pictures that a server is asked with."""

from __future__ import annotations

import mimetypes
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cli.reading import MAX_PICTURE_MB, check_size, read_picture
from load.pictures import HEIGHT, WIDTH, sample_pictures

SUFFIXES: Final = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
"""Of the files that are taken from a folder; a file that is named is taken whatever its name."""
MAX_PICTURES: Final = 1000
MAX_BYTES: Final = 512 * 2**20
"""The most bytes of all pictures together: they are held in memory, so that reading costs nothing meanwhile."""
SAMPLES: Final = 4
"""How many are made where none are given."""


class NoPictures(ValueError):
    """There are no pictures, or too many; the message says what to give."""


@dataclass(frozen=True, slots=True)
class Picture:
    """An encoded picture."""

    content_type: str
    content: bytes


def read_pictures(paths: Sequence[Path], max_mb: float = MAX_PICTURE_MB) -> tuple[list[Picture], str]:
    """Read the pictures of files and folders, or make some where there are none; and say in words what they are.

    Raises:
        NoPictures: a folder holds none, or they are too many.
        PictureTooLarge: one is over `max_mb` MiB.
        OSError: one cannot be read.
    """
    if not paths:
        made = [Picture("image/jpeg", content) for content in sample_pictures(SAMPLES)]
        return made, f"{SAMPLES} generated JPEGs of {WIDTH}x{HEIGHT} pixels (name pictures of yours for truer figures)"
    files = list(_files(paths))
    for path in files:
        check_size(path, max_mb)
    if len(files) > MAX_PICTURES or sum(path.stat().st_size for path in files) > MAX_BYTES:
        raise NoPictures(f"{len(files)} pictures: at most {MAX_PICTURES}, of {MAX_BYTES >> 20} MiB together, are taken")
    pictures = [Picture(_content_type(path), read_picture(path, max_mb)) for path in files]
    size = sum(len(picture.content) for picture in pictures) / len(pictures) / 1000
    return pictures, f"{len(files)} picture{'s' if len(files) > 1 else ''} of {size:.0f} kB on average"


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        found = sorted(each for each in path.iterdir() if each.suffix.lower() in SUFFIXES and each.is_file())
        if not found:
            raise NoPictures(f"the folder {path} holds no pictures ({', '.join(SUFFIXES)})")
        yield from found


def _content_type(path: Path) -> str:
    kind = mimetypes.guess_type(path.name)[0] or ""
    return kind if kind.startswith("image/") else "image/jpeg"  # servers look at the bytes
