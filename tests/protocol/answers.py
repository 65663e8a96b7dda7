"""What a server says: the model's metadata and an answer, the same whether they came over REST or gRPC."""

from __future__ import annotations

from dataclasses import dataclass

from .tensors import DTYPES, Tensor, TensorSpec


@dataclass(frozen=True)
class ModelMetadata:
    """The metadata of a model."""

    name: str
    versions: tuple[str, ...]
    platform: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    @property
    def is_batched(self) -> bool:
        """Whether the first dimension of every input is free."""
        return all(spec.is_batched for spec in self.inputs)


@dataclass(frozen=True)
class Answer:
    """An inference response."""

    model_name: str
    model_version: str
    """Empty where the server names none."""
    id: str
    """Empty where the server gives none."""
    outputs: tuple[Tensor, ...]

    @property
    def names(self) -> list[str]:
        """The names of the outputs, in their order."""
        return [output.name for output in self.outputs]


def assert_fits(answer: Answer, metadata: ModelMetadata) -> None:
    """The outputs are those of the metadata: name, datatype, rank and fixed dimensions."""
    specs = {spec.name: spec for spec in metadata.outputs}
    for output in answer.outputs:
        spec = specs[output.name]
        assert output.datatype == spec.datatype, output.name
        assert output.datatype in DTYPES, output.name
        assert len(output.shape) == len(spec.shape), output.name
        assert all(want in {-1, got} for want, got in zip(spec.shape, output.shape, strict=True)), output.name
