from __future__ import annotations

import base64
from typing import Any

import pytest

from serving.errors import RequestInvalid
from transformer.encoded import decode_base64, picture_of_instance

PICTURE = bytes(range(256))
TEXT = base64.b64encode(PICTURE).decode()


@pytest.mark.parametrize(
    "instance",
    [
        {"b64": TEXT},
        {"image": {"b64": TEXT}},
        {"image": TEXT},
        TEXT,
        f"data:image/jpeg;base64,{TEXT}",
        {"b64": f"data:image/png;base64,{TEXT}"},
        {"b64": TEXT, "other": 1},
    ],
    ids=["b64", "image and b64", "image", "text", "data URL", "data URL in b64", "other keys"],
)
def test_a_picture_may_be_wrapped_in_every_common_way(instance: Any) -> None:
    assert picture_of_instance(instance, 0) == PICTURE


@pytest.mark.parametrize(
    "instance",
    [None, 1, 1.5, True, [], [TEXT], {}, {"base64": TEXT}, {"b64": None}, {"b64": [1]}, {"image": 1}, {"image": {}}],
)
def test_an_instance_without_a_picture_is_told_by_its_number(instance: Any) -> None:
    with pytest.raises(RequestInvalid, match=r'instance 3 holds no picture: \{"b64": "<base64>"\} is expected'):
        picture_of_instance(instance, 3)


@pytest.mark.parametrize("text", ["A", "AAA", "not base64!", "ÿÿÿÿ", "AAAA=AAA", "\0\0\0\0", "data:image/png;base64,?"])
def test_text_that_is_no_base64_is_told_by_its_place(text: str) -> None:
    with pytest.raises(RequestInvalid, match="element 2 is not base64"):
        decode_base64(text, "element 2")


def test_no_text_is_no_bytes() -> None:
    assert decode_base64("", "here") == b""
