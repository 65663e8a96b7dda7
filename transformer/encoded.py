"""Pictures inside JSON: base64, bare or as a data URL."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from serving.errors import RequestInvalid


def picture_of_instance(instance: Any, number: int) -> bytes:
    """Return the picture of one V1 instance: `{"b64": ...}`, `{"image": {"b64": ...}}`, or the base64 text itself.

    Raises:
        RequestInvalid: it is none of these.
    """
    where = f"instance {number}"
    if isinstance(instance, dict) and isinstance(instance.get("image"), dict | str):
        instance = instance["image"]
    if isinstance(instance, dict):
        instance = instance.get("b64")
    if not isinstance(instance, str):
        raise RequestInvalid(f'{where} holds no picture: {{"b64": "<base64>"}} is expected')
    return decode_base64(instance, where)


def decode_base64(text: str, where: str) -> bytes:
    """Return the bytes of base64 text; `where` names its place for the error.

    Raises:
        RequestInvalid: the text is not base64.
    """
    if text.startswith("data:"):
        text = text.partition(",")[2]
    text = "".join(text.split())  # the lines of `base64` and of MIME
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise RequestInvalid(f"{where} is not base64: {error}; in JSON a picture is sent as base64") from error
