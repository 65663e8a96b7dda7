from __future__ import annotations

import gzip
import io
from collections.abc import Callable

import grpc
import pytest
from PIL import Image

from tests.photos import encoded, photo
from tests.unit.pictures import bombs

from .doors import DOORS, V2, Client, Door, batch_form, form, json_request, picture_request, raw_body, v2_grpc

pytestmark = pytest.mark.usefixtures("still_serves")

JPEG = encoded(photo("chelsea"), "JPEG")
SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect/></svg>'
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) (r) file\n"

BAD: dict[str, tuple[Callable[[], bytes], int, str]] = {
    "no bytes": (lambda: b"", 400, "IMAGE_EMPTY"),
    "a JPEG cut off in its pixels": (lambda: JPEG[: len(JPEG) // 2], 400, "IMAGE_CORRUPT"),
    "a JPEG cut off in its header": (lambda: JPEG[:100], 400, "IMAGE_CORRUPT"),
    "a JPEG with another file's inside": (lambda: JPEG[:600] + bytes(range(256)) * 40, 400, "IMAGE_CORRUPT"),
    "a PNG of a few bytes for 7,000 x 7,000": (lambda: bombs.png(7_000, 7_000), 400, "IMAGE_CORRUPT"),
    "a BMP without pixels": (lambda: bombs.bmp(0, 10), 400, "IMAGE_EMPTY"),
    "a PNG without pixels": (lambda: bombs.png(0, 10), 400, "IMAGE_EMPTY"),
    "text in a file named .jpg": (lambda: b"this is no picture", 415, "IMAGE_UNSUPPORTED"),
    "base64 where bytes belong": (lambda: b"/9j/4AAQSkZJRgABAQAAAQABAAD", 415, "IMAGE_UNSUPPORTED"),
    "EPS": (lambda: EPS, 415, "IMAGE_UNSUPPORTED"),
    "SVG": (lambda: SVG, 415, "IMAGE_UNSUPPORTED"),
    "TIFF": (lambda: encoded(photo("chelsea"), "TIFF"), 415, "IMAGE_UNSUPPORTED"),
    "gzip": (lambda: gzip.compress(JPEG), 415, "IMAGE_UNSUPPORTED"),
    "a PNG of 50,000 x 50,000": (lambda: bombs.png(50_000, 50_000), 413, "IMAGE_TOO_LARGE"),
    "a JPEG of 65,500 x 65,500": (lambda: bombs.jpeg(65_500, 65_500), 413, "IMAGE_TOO_LARGE"),
    "more bytes than are allowed": (lambda: JPEG + bytes(20 * 2**20), 413, "IMAGE_TOO_LARGE"),
}


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)
@pytest.mark.parametrize("name", BAD)
def test_a_bad_picture_is_the_clients_fault_whichever_door_it_takes(client: Client, name: str, door: Door) -> None:
    make, status, code = BAD[name]

    answer = door(client, make(), headers={"x-request-id": "bad-picture"})

    expected = grpc.StatusCode.INVALID_ARGUMENT if door is v2_grpc else status
    assert (answer.status, answer.code) == (expected, code), answer.message
    assert set(answer.ids.values()) == {"bad-picture"}
    assert len(answer.message) > 20


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)
def test_an_animation_is_answered_by_its_first_frame(client: Client, door: Door) -> None:
    others = [photo(name, photo("chelsea").size) for name in ("coffee", "rocket")]
    animation = encoded(photo("chelsea"), "GIF", save_all=True, append_images=others)
    first = encoded(Image.open(io.BytesIO(animation)).convert("RGB"), "PNG")

    answer, expected = door(client, animation), door(client, first)

    assert answer.is_ok
    assert answer.label == expected.label != ""


def test_a_gzip_bomb_is_refused_packed(client: Client) -> None:
    packed = gzip.compress(bytes(200 * 2**20), 1)

    for path in ("/predict", V2, V2.replace("v2", "v1").replace("/infer", ":predict")):
        answer = client.post(path, content=packed, headers={"content-encoding": "gzip", "content-type": "image/png"})
        assert (answer.status, answer.code) == (415, "CONTENT_TYPE_UNSUPPORTED")
        assert "gzip" in answer.message


def test_a_grpc_message_that_unpacks_to_more_than_is_allowed_is_refused(client: Client) -> None:
    answer = client.call(picture_request(bytes(80 * 2**20)), compression=grpc.Compression.Gzip)

    assert answer.status is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_the_limits_are_told_as_numbers(client: Client) -> None:
    answer = raw_body(client, bombs.png(50_000, 50_000))

    assert answer.details == {"unit": "pixels", "limit": 50_000_000, "found": 2_500_000_000}


def test_of_a_batch_the_bad_picture_is_told_by_its_place(client: Client, cat: bytes) -> None:
    files = [("files", (f"{number}.jpg", cat)) for number in range(4)]
    files[2] = ("files", ("2.jpg", b"no picture"))

    answer = client.post("/predict/batch", files=files)

    assert (answer.status, answer.code, answer.details["index"]) == (415, "IMAGE_UNSUPPORTED", 2)
    assert answer.message.startswith("picture 2 of 4 (counted from 0): ")


def test_of_a_batch_over_v2_the_bad_picture_is_told_by_its_place(client: Client, cat: bytes) -> None:
    over_rest = client.post(V2, json=json_request(cat, cat[:999]))
    over_grpc = client.call(picture_request(cat, cat[:999]))

    for answer in (over_rest, over_grpc):
        assert answer.code == "IMAGE_CORRUPT"
        assert "picture 1 of 2" in answer.message


def test_a_batch_without_a_bad_picture_is_answered(client: Client, cat: bytes) -> None:
    assert batch_form(client, cat).label == form(client, cat).label
