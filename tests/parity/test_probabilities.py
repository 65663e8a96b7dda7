"""The probabilities that come out of the servers are those of the plain reference, whichever way the pictures go in."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.parity.protocols import PROTOCOLS, Probabilities, Send, predict_body, predict_form, v2_grpc_raw
from tests.parity.reference import reference
from tests.photos import PHOTOS, every_picture, large_jpeg, photo_bytes
from tests.servers import RunningPair, running_pair

TOLERANCE = 1e-4
SCALED_TOLERANCE = 0.03

by_name = pytest.mark.parametrize("send", PROTOCOLS, ids=lambda send: send.__name__)


@pytest.fixture(scope="module")
def exact_dir(model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo model with `decode: exact`."""
    directory = tmp_path_factory.mktemp("exact") / "model"
    shutil.copytree(model_dir, directory)
    contract = directory / "model.yaml"
    text = contract.read_text()
    assert "decode: scaled" in text
    contract.write_text(text.replace("decode: scaled", "decode: exact"))
    return directory


@pytest.fixture(scope="module", params=["fused, gRPC between", "unfused, REST between"])
def exact_pair(request: pytest.FixtureRequest, exact_dir: Path) -> Iterator[RunningPair]:
    fused = request.param.startswith("fused")
    flags = [f"--fuse_input={str(fused).lower()}"]
    with running_pair(exact_dir, predictor_flags=flags, protocol="grpc-v2" if fused else "v2") as pair:
        yield pair


@pytest.fixture(scope="module")
def expected(model_dir: Path) -> Probabilities:
    """The reference's probabilities of every picture."""
    return np.stack([reference(model_dir / "model.onnx", picture) for picture in every_picture().values()])


@by_name
def test_exact_probabilities_are_the_references(exact_pair: RunningPair, expected: Probabilities, send: Send) -> None:
    pictures = every_picture()

    difference = np.abs(send(exact_pair.transformer, list(pictures.values())) - expected).max(axis=1)

    assert {name: float(d) for name, d in zip(pictures, difference, strict=True) if d > TOLERANCE} == {}


def test_a_batch_answers_what_its_pictures_answer_alone(exact_pair: RunningPair) -> None:
    pictures = [photo_bytes(name) for name in PHOTOS]
    together = v2_grpc_raw(exact_pair.transformer, pictures)
    alone = np.concatenate([v2_grpc_raw(exact_pair.transformer, [picture]) for picture in pictures])
    assert np.abs(together - alone).max() <= TOLERANCE


@pytest.mark.parametrize("name", PHOTOS)
def test_scaled_decoding_keeps_the_first_label_and_moves_probabilities_little(
    pair: RunningPair, model_dir: Path, name: str
) -> None:
    picture = large_jpeg(name)
    expected = reference(model_dir / "model.onnx", picture)

    (found,) = predict_body(pair.transformer, [picture])

    assert found.argmax() == expected.argmax()
    assert np.abs(found - expected).max() <= SCALED_TOLERANCE


def test_a_cat_is_a_cat_and_a_coffee_an_espresso(pair: RunningPair, model_dir: Path) -> None:
    labels = (model_dir / "labels.txt").read_text().splitlines()
    cat, coffee = predict_form(pair.transformer, [photo_bytes("chelsea"), photo_bytes("coffee")])
    assert "cat" in labels[cat.argmax()]
    assert labels[coffee.argmax()] == "espresso"
