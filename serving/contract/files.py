"""Reading the small files of a model directory, which may be anybody's."""

from __future__ import annotations

from pathlib import Path
from stat import S_ISDIR, S_ISREG

from serving.errors import ContractInvalid

CONTRACT_FILE = "model.yaml"


def read_text(path: Path, max_bytes: int, encoding: str) -> str:
    """Read a file that is one, since reading from a pipe would not end, and not larger than it can be.

    Raises:
        OSError, UnicodeDecodeError: as their names say.
        ContractInvalid: it is too large.
    """
    status = path.stat()
    if not (S_ISREG(status.st_mode) or S_ISDIR(status.st_mode)):
        raise ContractInvalid(f"{path} is no plain file")
    if status.st_size > max_bytes:
        raise ContractInvalid(f"{path} has {status.st_size} bytes; at most {max_bytes} are read")
    return path.read_text(encoding=encoding)
