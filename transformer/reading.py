"""From the predictor's outputs to those of the decoder: as they come, where its graph has read them, or read here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from serving.decoders import FINITE, Array, Decoder, NumpyOps, Reduced, Shape, match_sizes
from serving.errors import ContractInvalid, ModelNotReady, PredictorFault
from serving.v2 import InferResponse, ModelMetadata
from serving.v2.message import ANY
from serving.v2.tensor import DATATYPES, datatype_of

_OPS: Final = NumpyOps()

HELD: Final = 500
"""The most elements for which NumPy keeps the interpreter's lock, by its `NPY_BEGIN_THREADS_THRESHOLDED`."""
SHORT: Final = 10 * HELD

KNOWN: Final = 128
"""How many forms are remembered; each number of rows makes one."""


Forms = tuple[tuple[str, tuple[int, ...], np.dtype[Any]], ...]
"""The name, the shape and the type of each output."""


@dataclass(frozen=True, slots=True)
class OutputReader:
    """How the outputs of one predictor are read.

    `names` are the outputs to ask for, by the decoder's part; where they are `reduced`, the parts are the names.
    """

    decoder: Decoder[Any]
    names: Mapping[str, str]
    reduced: bool
    good: set[Forms] = field(default_factory=set, compare=False)
    """Forms of reduced outputs that were looked at: those of the next answer are likely the same."""

    @classmethod
    def of(cls, metadata: ModelMetadata, decoder: Decoder[Any]) -> OutputReader:
        """Find the decoder's outputs in a predictor's metadata.

        A predictor whose metadata lists no outputs is taken to have those that the contract names.

        Raises:
            ModelNotReady: they are not there, or of another shape; another predictor may come.
        """
        outputs = {spec.name: spec for spec in metadata.outputs}
        # `FINITE` tells them from a model's own outputs, of which one may well be called `embedding`.
        reduced = (*decoder.reduced, FINITE)
        if decoder.reduced and all(name in outputs for name in reduced):
            return cls(decoder, {name: name for name in reduced}, reduced=True)
        if not outputs:
            return cls(decoder, {part: name for part, name in decoder.tensors().items() if name}, reduced=False)
        try:
            return cls(
                decoder, decoder.bind({name: _shape(spec.shape) for name, spec in outputs.items()}), reduced=False
            )
        except ContractInvalid as error:
            raise ModelNotReady(f"the predictor's outputs are not the contract's: {error.message}") from error

    @property
    def takes_rows(self) -> bool:
        """Whether several pictures can go in one request."""
        return self.reduced or self.decoder.batched

    def read(self, response: InferResponse, rows: int) -> dict[str, Array]:
        """Return the decoder's outputs for `rows` pictures, every number of them finite.

        Raises:
            PredictorFault: an output is missing, has another number of rows or another shape, or holds NaN or infinity.
        """
        names = self._wanted(response)
        tensors = {part: self._tensor(response, name) for part, name in names.items()}
        for part, array in tensors.items():
            if self.takes_rows and (array.ndim == 0 or array.shape[0] != rows):
                raise PredictorFault(
                    f"the predictor gave output {names[part]!r} with the shape {list(array.shape)} for {rows} pictures"
                )
        if self.reduced:
            self._check_reduced(tensors)
            self._check_finite(tensors.pop(FINITE))
        for part, array in tensors.items():
            _check_numbers(names[part], array)
        if self.reduced:
            return tensors
        try:
            self.decoder.check({part: array.shape for part, array in tensors.items()})
            with np.errstate(over="ignore", invalid="ignore"):
                read = self.decoder.read(_OPS, tensors)
        except ContractInvalid as error:
            raise PredictorFault(f"the predictor's outputs cannot be read: {error.message}") from error
        for name, array in read.items():
            if not _is_finite(array):
                raise PredictorFault(f"the predictor's outputs hold numbers over the range of float32: see {name!r}")
        return read

    def _wanted(self, response: InferResponse) -> Mapping[str, str]:
        if self.names:
            return self.names
        if not response.outputs:
            raise PredictorFault("the predictor gave no output")
        parts = self.decoder.tensors()
        if not parts:  # it reads whatever there is
            return {tensor.name: tensor.name for tensor in response.outputs}
        return dict.fromkeys(parts, response.outputs[0].name)

    def _tensor(self, response: InferResponse, name: str) -> Array:
        try:
            return response.output(name).array
        except KeyError:
            there = ", ".join(repr(tensor.name) for tensor in response.outputs) or "none"
            raise PredictorFault(f"the predictor gave no output {name!r}; it gave {there}") from None

    def _check_reduced(self, tensors: Mapping[str, Array]) -> None:
        """Raise a `PredictorFault` unless the outputs are what the decoder reduces to, and fit together."""
        forms = tuple((name, each.shape, each.dtype) for name, each in tensors.items())
        if forms in self.good:
            return
        wanted = {**self.decoder.reduced, FINITE: Reduced("BOOL", ("n", len(self.decoder.tensors())))}
        letters: dict[str, int | None] = {}
        for name, shape, dtype in forms:
            form = wanted[name]
            found = match_sizes(shape, form.shape, letters)
            if found is None or dtype != DATATYPES[form.datatype]:
                known = ", ".join(f"{letter} = {size}" for letter, size in letters.items())
                raise PredictorFault(
                    f"the predictor gave output {name!r} as {datatype_of(dtype)} {list(shape)}; "
                    f"{form.datatype} [{', '.join(map(str, form.shape))}] is expected{known and ' with '}{known}"
                )
            letters = found
        if len(self.good) < KNOWN:
            self.good.add(forms)

    def _check_finite(self, finite: Array) -> None:
        """Raise a `PredictorFault` that names the output of the model that held something else than numbers."""
        if not finite.all():
            column = int(np.argmin(finite.all(axis=0)))
            name = list(self.decoder.tensors().values())[column]
            _refuse_numbers(f"output {name!r}" if name else "only output")


def _shape(shape: tuple[int, ...]) -> Shape:
    return tuple(None if size == ANY else size for size in shape)


def _check_numbers(name: str, array: Array) -> None:
    if array.dtype.kind not in "fiub":
        raise PredictorFault(f"the predictor gave output {name!r} as {datatype_of(array.dtype)}: numbers are expected")
    if not _is_finite(array):
        _refuse_numbers(f"output {name!r}")


def _is_finite(array: Array) -> bool:
    """Whether an array holds no NaN and no infinity. A short one is looked at in pieces for which NumPy does not let
    the interpreter go: to get it back among busy threads costs far more than to look.
    """
    if array.dtype.kind != "f":
        return True
    if array.size > SHORT:
        return bool(np.isfinite(array).all())
    flat = array.reshape(-1)
    return all(np.isfinite(flat[start : start + HELD]).all() for start in range(0, len(flat), HELD))


def _refuse_numbers(output: str) -> None:
    raise PredictorFault(f"the model's {output} holds values that are not finite numbers (NaN or infinity)")
