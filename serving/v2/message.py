"""The messages of the protocol, free of any wire format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from serving.errors import RequestInvalid, TensorInvalid
from serving.v2.tensor import Tensor

Parameter = bool | int | float | str
Parameters = Mapping[str, Parameter]

MAX_TENSORS = 256
"""The most inputs, outputs or parameters of one request: more than any model has, and few enough to look at each."""

MAX_NAME = 256
"""The most characters of a tensor's name."""

ANY = -1
"""A dimension that a request may choose."""


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """What a model takes or gives: `shape` holds `ANY` where a request may choose."""

    name: str
    datatype: str
    shape: tuple[int, ...]

    def accepts(self, shape: tuple[int, ...]) -> bool:
        """Whether a tensor of that shape fits; no dimension may be 0."""
        return len(shape) == len(self.shape) and all(
            given > 0 and wanted in (ANY, given) for given, wanted in zip(shape, self.shape, strict=True)
        )


@dataclass(frozen=True, slots=True)
class ModelMetadata:
    """What `/v2/models/NAME` answers."""

    name: str
    versions: tuple[str, ...]
    platform: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


@dataclass(frozen=True, slots=True)
class RequestedOutput:
    """An output that the request asks for; `binary` is None where the request's own default holds."""

    name: str
    binary: bool | None = None


@dataclass(frozen=True, slots=True)
class InferRequest:
    """A request to run a model. `model_version` is None where the server may choose."""

    model_name: str
    inputs: tuple[Tensor, ...]
    model_version: str | None = None
    id: str | None = None
    outputs: tuple[RequestedOutput, ...] = ()
    parameters: Parameters = field(default_factory=dict)
    binary_output: bool = False
    """Whether the caller wants outputs as bytes where it says nothing of the single output."""


@dataclass(frozen=True, slots=True)
class InferResponse:
    """A model's answer. `model_version` is empty where a foreign server names none."""

    model_name: str
    model_version: str
    outputs: tuple[Tensor, ...]
    id: str | None = None
    parameters: Parameters = field(default_factory=dict)
    timings: Mapping[str, float] = field(default_factory=dict)
    """Seconds of the stages that its sender tells: a predictor of ours its `queue` and its `compute`."""

    def output(self, name: str) -> Tensor:
        """Return the output of that name.

        Raises:
            KeyError: there is none.
        """
        for tensor in self.outputs:
            if tensor.name == name:
                return tensor
        raise KeyError(name)


def check_count(count: int, what: str) -> None:
    """Raise `RequestInvalid` for more than `MAX_TENSORS` of anything, before each is looked at."""
    if count > MAX_TENSORS:
        raise RequestInvalid(f"the request has {count} {what}: at most {MAX_TENSORS} are read")


def check_name(name: str, kind: str) -> None:
    """Raise `RequestInvalid` for a name that is too long to be one, before it stands in any message."""
    if len(name) > MAX_NAME:
        raise RequestInvalid(f"an {kind} has a name of {len(name)} characters: at most {MAX_NAME} are read")


def check_inputs(inputs: tuple[Tensor, ...], specs: tuple[TensorSpec, ...]) -> None:
    """Hold a request's inputs against what the model takes: each once, with its datatype and a shape that fits.

    Raises:
        TensorInvalid: one is missing, unknown, sent twice, or of another datatype or shape.
    """
    expected = {spec.name: spec for spec in specs}
    known = ", ".join(repr(name) for name in expected)
    seen: set[str] = set()
    for tensor in inputs:
        spec = expected.get(tensor.name)
        if spec is None:
            raise TensorInvalid(f"the model has no input {tensor.name!r}: it takes {known}", input=tensor.name)
        if tensor.name in seen:
            raise TensorInvalid(f"input {tensor.name!r} is there twice", input=tensor.name)
        seen.add(tensor.name)
        if tensor.datatype != spec.datatype:
            raise TensorInvalid(
                f"input {tensor.name!r} is {tensor.datatype}: the model takes {spec.datatype}", input=tensor.name
            )
        if not spec.accepts(tensor.shape):
            raise TensorInvalid(
                f"input {tensor.name!r} has the shape {list(tensor.shape)}: the model takes {list(spec.shape)}"
                + (" (-1 stands for any size from 1)" if ANY in spec.shape else ""),
                input=tensor.name,
            )
    missing = [name for name in expected if name not in seen]
    if missing:
        raise TensorInvalid(f"input {missing[0]!r} is missing: the model takes {known}", input=missing[0])


def select_outputs(outputs: tuple[Tensor, ...], requested: tuple[RequestedOutput, ...]) -> tuple[Tensor, ...]:
    """Return the outputs that a request names, in its order; all of them where it names none."""
    if not requested:
        return outputs
    by_name = {tensor.name: tensor for tensor in outputs}
    return tuple(by_name[output.name] for output in requested)


def check_requested(requested: tuple[RequestedOutput, ...], specs: tuple[TensorSpec, ...]) -> None:
    """Hold the outputs that a request names against what the model gives, before the model runs.

    Raises:
        RequestInvalid: the model has no output of that name, or one is asked for twice.
    """
    known = {spec.name for spec in specs}
    names = [output.name for output in requested]
    for name in names:
        if name not in known:
            raise RequestInvalid(f"the model has no output {name!r}: it gives {', '.join(map(repr, sorted(known)))}")
    if len(set(names)) != len(names):
        raise RequestInvalid("an output is asked for twice")
