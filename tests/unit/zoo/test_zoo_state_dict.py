"""The restricted reader of PyTorch's legacy format, on pickles written opcode by opcode."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from zoo.errors import WeightsInvalid
from zoo.state_dict import read_state_dict

MAGIC = 0x1950A86A20F9469CFC6C
EMPTY_ORDERED_DICT = b"ccollections\nOrderedDict\n(tR"


def integers(*numbers: int) -> bytes:
    return b"(" + b"".join(b"I%d\n" % number for number in numbers) + b"t"


def tensor(  # noqa: PLR0913
    *,
    length: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    offset: int = 0,
    key: str = "7",
    kind: str = "Float",
) -> bytes:
    storage = b"(Vstorage\nctorch\n%sStorage\nV%s\nVcpu\nI%d\nNtQ" % (kind.encode(), key.encode(), length)
    return (
        b"ctorch._utils\n_rebuild_tensor_v2\n("
        + storage + b"I%d\n" % offset + integers(*shape) + integers(*strides) + b"I00\n" + EMPTY_ORDERED_DICT + b"tR"
    )  # fmt: skip


def state_dict(**tensors: bytes) -> bytes:
    items = b"".join(b"V" + name.encode() + b"\n" + value for name, value in tensors.items())
    return EMPTY_ORDERED_DICT + b"(" + items + b"u."


def file(body: bytes, storages: dict[str, bytes], *, little_endian: bool = True) -> bytes:
    header = pickle.dumps(MAGIC, 2) + pickle.dumps(1001, 2) + pickle.dumps({"little_endian": little_endian}, 2)
    return header + body + pickle.dumps(list(storages), 2) + b"".join(storages.values())


def numbers(count: int, dtype: str = "<f4") -> bytes:
    return count.to_bytes(8, "little") + np.arange(count, dtype=dtype).tobytes()


MATRIX = file(state_dict(w=tensor(length=6, shape=(2, 3), strides=(3, 1))), {"7": numbers(6)})


def test_a_tensor_keeps_its_name_dtype_shape_and_numbers() -> None:
    [(name, array)] = read_state_dict(MATRIX).items()
    assert name == "w"
    assert array.dtype == np.float32
    assert array.tolist() == [[0, 1, 2], [3, 4, 5]]


def test_a_tensor_may_lie_transposed_in_its_storage() -> None:
    data = file(state_dict(w=tensor(length=6, shape=(3, 2), strides=(1, 3))), {"7": numbers(6)})
    assert read_state_dict(data)["w"].tolist() == [[0, 3], [1, 4], [2, 5]]


def test_two_tensors_may_share_a_storage() -> None:
    first = tensor(length=4, shape=(2,), strides=(1,))
    second = tensor(length=4, shape=(2,), strides=(1,), offset=2)
    read = read_state_dict(file(state_dict(a=first, b=second), {"7": numbers(4)}))
    assert [read["a"].tolist(), read["b"].tolist()] == [[0, 1], [2, 3]]


def test_a_scalar_of_integers_is_read() -> None:
    data = file(state_dict(n=tensor(length=1, shape=(), strides=(), kind="Long")), {"7": numbers(1, "<i8")})
    assert read_state_dict(data)["n"].dtype == np.int64


def test_a_pickle_that_runs_a_command_is_refused_and_the_command_does_not_run(tmp_path: Path) -> None:
    witness = tmp_path / "witness"

    class Malicious:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, (f"touch {witness}",)

    with pytest.raises(WeightsInvalid, match=r"system, which is no part of a state dict"):
        read_state_dict(file(pickle.dumps({"w": Malicious()}), {}))
    assert not witness.exists()


def test_code_in_the_header_does_not_run_either(tmp_path: Path) -> None:
    witness = tmp_path / "witness"
    with pytest.raises(WeightsInvalid, match=r"os\.mkdir"):
        read_state_dict(b"cos\nmkdir\n(V" + str(witness).encode() + b"\ntR.")
    assert not witness.exists()


@pytest.mark.parametrize(
    "name",
    ["builtins eval", "builtins getattr", "numpy dtype", "torch load", "torch.storage _load_from_bytes", "zoo pull"],
)
def test_every_other_name_is_refused(name: str) -> None:
    module, attribute = name.split()
    with pytest.raises(WeightsInvalid, match="refused"):
        read_state_dict(file(f"c{module}\n{attribute}\n.".encode(), {}))


@pytest.mark.parametrize("target", [b"ctorch\nFloatStorage\n", b"ctorch._utils\n_rebuild_tensor_v2\n"])
def test_a_pickle_cannot_alter_what_it_may_name(target: bytes) -> None:
    with pytest.raises(WeightsInvalid, match="not a PyTorch state dict"):
        read_state_dict(file(target + b"(dVdtype\nVO\nsb.", {}))


@pytest.mark.parametrize(
    ("shape", "strides", "offset"),
    [
        ((7,), (1,), 0),
        ((2,), (1,), 5),
        ((2,), (-1,), 3),
        ((2,), (1,), -1),
        ((6, 6), (0, 1), 0),
        ((2, 3), (1,), 0),
        ((2,), (10**30,), 0),
    ],
)
def test_a_tensor_that_leaves_its_storage_is_refused(
    shape: tuple[int, ...], strides: tuple[int, ...], offset: int
) -> None:
    body = state_dict(w=tensor(length=6, shape=shape, strides=strides, offset=offset))
    with pytest.raises(WeightsInvalid, match=r"not a part of its storage|not understood"):
        read_state_dict(file(body, {"7": numbers(6)}))


def test_two_tensors_that_disagree_on_their_storage_cannot_read_past_it() -> None:
    long = tensor(length=1000, shape=(1000,), strides=(1,))
    short = tensor(length=2, shape=(2,), strides=(1,))
    with pytest.raises(WeightsInvalid, match="the tensor a is not a part"):
        read_state_dict(file(state_dict(a=long, b=short), {"7": numbers(2)}))


def test_a_file_cut_short_anywhere_is_refused() -> None:
    for end in range(len(MATRIX)):
        with pytest.raises(WeightsInvalid):
            read_state_dict(MATRIX[:end])


def test_a_checkpoint_that_holds_more_than_tensors_is_refused() -> None:
    with pytest.raises(WeightsInvalid, match=r"an? int at 'epoch' where a tensor is expected"):
        read_state_dict(file(pickle.dumps({"epoch": 3}, 2), {}))


def test_the_zip_format_is_named_in_the_refusal() -> None:
    with pytest.raises(WeightsInvalid, match="zip format"):
        read_state_dict(b"PK\x03\x04" + bytes(100))


def test_a_big_endian_file_is_refused() -> None:
    with pytest.raises(WeightsInvalid, match="big-endian"):
        read_state_dict(file(state_dict(), {}, little_endian=False))
