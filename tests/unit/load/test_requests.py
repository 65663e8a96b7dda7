"""What is sent: generated pictures, random tensors, and their forms on the wire."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from load.encoded import binary_body, grpc_message, http_request, json_body, picture_request
from load.pictures import sample_pictures
from load.tensors import NotRandom, random_request, takes_pictures
from serving.sdk import pb
from serving.v2 import DATATYPES, ModelMetadata, TensorSpec
from serving.v2 import grpc as grpc_codec
from serving.v2 import rest as rest_codec


def metadata(*inputs: TensorSpec) -> ModelMetadata:
    return ModelMetadata("model", ("1",), "onnx", inputs, ())


def spec(*shape: int, datatype: str = "FP32", name: str = "x") -> TensorSpec:
    return TensorSpec(name, datatype, shape)


def test_generated_pictures_have_the_bytes_of_photographs_and_differ() -> None:
    pictures = sample_pictures(2)

    assert pictures == sample_pictures(2)
    assert pictures[0] != pictures[1]
    for picture in pictures:
        assert 100_000 < len(picture) < 300_000
        image = Image.open(io.BytesIO(picture))
        assert (image.format, image.size, image.mode) == ("JPEG", (1280, 853), "RGB")
        assert np.asarray(image).std() > 30


@pytest.mark.parametrize("datatype", [name for name in DATATYPES if name != "BYTES"])
def test_a_random_tensor_is_of_the_type_and_shape_of_the_metadata(datatype: str) -> None:
    request = random_request(metadata(spec(-1, 3, 8, 8, datatype=datatype)), {}, seed=1)

    (tensor,) = request.inputs
    assert (tensor.name, tensor.datatype, tensor.shape) == ("x", datatype, (1, 3, 8, 8))
    assert len(np.unique(tensor.array)) > 1


def test_each_input_has_a_tensor_and_each_seed_its_own_numbers() -> None:
    inputs = metadata(spec(1, 2, name="a"), spec(1, 3, name="b"))
    first, other = (random_request(inputs, {}, seed) for seed in (1, 2))

    assert [tensor.name for tensor in first.inputs] == ["a", "b"]
    assert not np.array_equal(first.inputs[0].array, other.inputs[0].array)


def test_open_dimensions_are_as_the_caller_says() -> None:
    request = random_request(metadata(spec(-1, -1, -1, 3)), {"x": (2, 32, 64, 3)}, seed=1)

    assert request.inputs[0].shape == (2, 32, 64, 3)


@pytest.mark.parametrize(
    ("inputs", "shapes", "message"),
    [
        ((spec(-1, 3, -1, -1),), {}, "--shape"),
        ((spec(1, 3),), {"x": (1, 4)}, "does not fit"),
        ((spec(1, 3),), {"y": (1, 3)}, "no input 'y'"),
        ((spec(1, datatype="BYTES"), spec(1, name="y")), {}, "BYTES"),
        ((spec(1, datatype="BF16"),), {}, "BF16"),
        ((spec(1, 10**6, 10**6),), {}, "bytes: at most"),
        ((), {}, "lists no inputs"),
    ],
)
def test_what_no_tensor_can_be_made_of_is_said(
    inputs: tuple[TensorSpec, ...], shapes: dict[str, tuple[int, ...]], message: str
) -> None:
    with pytest.raises(NotRandom, match=message):
        random_request(metadata(*inputs), shapes, seed=1)


def test_a_model_that_takes_pictures_has_one_input_of_bytes() -> None:
    assert takes_pictures(metadata(spec(-1, datatype="BYTES")))
    assert not takes_pictures(metadata(spec(-1, 3)))
    assert not takes_pictures(metadata(spec(-1, datatype="BYTES"), spec(1, name="y")))


def test_each_form_of_a_request_says_the_same() -> None:
    request = random_request(metadata(spec(1, 4, 4, 3, datatype="UINT8")), {}, seed=1)
    array = request.inputs[0].array
    binary, binary_headers = binary_body(request)
    as_json, json_headers = json_body(request)
    message = pb.ModelInferRequest.FromString(grpc_message(request))

    read = [
        rest_codec.decode_request(binary, binary_headers, "model", None),
        rest_codec.decode_request(as_json, json_headers, "model", None),
        grpc_codec.decode_request(message),
    ]

    for each in read:
        assert np.array_equal(each.inputs[0].array, array)


def test_a_picture_travels_as_bytes_of_the_rank_that_the_model_states() -> None:
    message = pb.ModelInferRequest.FromString(grpc_message(picture_request(b"JPEG", "model", "image", rank=2)))

    (tensor,) = grpc_codec.decode_request(message).inputs
    assert tensor.shape == (1, 1)
    assert tensor.array.flat[0] == b"JPEG"


def test_an_http_request_states_its_length() -> None:
    assert http_request("/predict", {"x-a": "b"}, b"body", "example:80") == (
        b"POST /predict HTTP/1.1\r\nhost: example:80\r\nx-a: b\r\ncontent-length: 4\r\n\r\nbody"
    )


def test_a_caller_may_name_the_host_itself() -> None:
    assert http_request("/", {"host": "model.example"}, b"", "127.0.0.1:80").count(b"host:") == 1
