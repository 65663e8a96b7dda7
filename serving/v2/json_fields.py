"""Typed access to the fields of a JSON object; `where` names the object for the error.

Every function raises `RequestInvalid` where the field is missing or of another type; null stands for a missing field.
"""

from __future__ import annotations

from typing import Any, Final

import orjson

from serving.errors import RequestInvalid, RequestTooLarge
from serving.v2.message import Parameter, Parameters, check_count

Object = dict[str, Any]

MAX_JSON_BYTES: Final = 32 * 2**20
"""The longest JSON that is parsed. The parser lets nothing else run meanwhile, half a second for so much where it is no
regular list of numbers; a picture of the largest size that is allowed by default fits, as base64."""


def read_object(data: bytes | memoryview, *, hint: str = "") -> Object:
    """Parse a body's JSON, which must be an object; `hint` is added where it is no JSON.

    Raises:
        RequestTooLarge: it is longer than `MAX_JSON_BYTES`.
        RequestInvalid: it is empty, no JSON, or no object.
    """
    check_size(data)
    try:
        message = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise RequestInvalid(f"the body is not JSON: {error.msg} at character {error.pos}{hint}") from error
    if not isinstance(message, dict):
        raise RequestInvalid(f"the body is a JSON {json_type(message)}: an object is expected")
    return message


def check_size(data: bytes | memoryview) -> None:
    """Raise `RequestInvalid` for an empty text, and `RequestTooLarge` for one that is longer than `MAX_JSON_BYTES`."""
    if not len(data):
        raise RequestInvalid("the body is empty: a JSON object is expected")
    if len(data) > MAX_JSON_BYTES:
        raise RequestTooLarge(
            f"the JSON has {len(data)} bytes; at most {MAX_JSON_BYTES} are read: send tensors as binary data behind it",
            limit_bytes=MAX_JSON_BYTES,
        )


def get_string(item: Object, key: str, where: str) -> str:
    """Return a string."""
    value = _present(item, key, where)
    if not isinstance(value, str):
        raise RequestInvalid(f"{where} has a {key} of the type {json_type(value)}: a string is expected")
    return value


def get_list(item: Object, key: str, where: str) -> list[Any]:
    """Return a list, whatever it holds."""
    value = _present(item, key, where)
    if not isinstance(value, list):
        raise RequestInvalid(f"{where} has {key} of the type {json_type(value)}: a list is expected")
    return value


def find_string(item: Object, key: str, where: str) -> str | None:
    """Return a string, or None where there is none."""
    return None if item.get(key) is None else get_string(item, key, where)


def find_list(item: Object, key: str, where: str) -> list[Any]:
    """Return a list, empty where there is none."""
    return [] if item.get(key) is None else get_list(item, key, where)


def find_parameters(item: Object, where: str) -> Parameters:
    """Return the parameters, which hold only strings, numbers and booleans; empty where there are none."""
    parameters = item.get("parameters")
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        raise RequestInvalid(f"{where} has parameters of the type {json_type(parameters)}: an object is expected")
    check_count(len(parameters), "parameters")
    for key, value in parameters.items():
        if not isinstance(value, Parameter):
            raise RequestInvalid(
                f"{where} has the parameter {key!r} of the type {json_type(value)}: a string, a number or a boolean "
                "is expected"
            )
    return parameters


def find_boolean(parameters: Parameters, key: str, where: str) -> bool | None:
    """Return a parameter that is true or false, or None where there is none."""
    value = parameters.get(key)
    if value is not None and not isinstance(value, bool):
        raise RequestInvalid(f"{where} has the {key} {value!r:.40}: true or false is expected")
    return value


def json_type(value: object) -> str:
    """Return JSON's name for a value's type."""
    names = {dict: "object", list: "array", str: "string", bool: "boolean", type(None): "null"}
    return names.get(type(value), "number")


def _present(item: Object, key: str, where: str) -> object:
    if item.get(key) is None:
        raise RequestInvalid(f"{where} has no {key}")
    return item[key]
