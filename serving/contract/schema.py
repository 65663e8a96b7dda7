"""The schema of `model.yaml`. Each field's docstring is its documentation, in the reference and in the JSON schema.

The input's section is in `serving.contract.input`; that of the output depends on its decoder: see `serving.decoders`.
"""

from __future__ import annotations

from difflib import get_close_matches
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, Field, PositiveInt, SerializeAsAny, ValidationInfo, field_validator

from serving.contract.input import InputRules
from serving.decoders import OutputRules, check_task, decoder_type
from serving.section import Section

API_VERSION = "kserve-vision/v1"

FileName = Annotated[str, Field(pattern=r"^[^/\\\x00]+$")]
"""A file beside `model.yaml`: a name, never a path, so that a model cannot point at the pod's own files."""


class Batching(Section):
    """How the predictor joins pictures into one run of the model."""

    max_batch_size: PositiveInt = 32
    """The most rows in one run. A graph whose batch is fixed runs that many rows whatever this says. Of the sizes up to
    it, the predictor uses those that it measures to pay on its device: a batch of 8 that takes eight times as long as
    one row is never made."""
    sizes: tuple[Annotated[int, Field(ge=1, le=4096)], ...] = ()
    """The numbers of rows that runs may have; a smaller batch is filled up to the next. By default 1, 2, 4, 8, ... up
    to `max_batch_size`."""
    max_delay_ms: Annotated[float, Field(ge=0, le=10_000, allow_inf_nan=False)] = 5.0
    """The most milliseconds that a row waits for company while the device is free. 0: never."""
    adaptive: bool = True
    """Whether a row waits only while that pays, by the rate of arrivals and the measured times of runs. Off, each waits
    until the batch is full, or for all of `max_delay_ms`."""
    instances: PositiveInt | None = None
    """Runs of the model side by side. By default one for each CPU (or few CPUs) on a CPU, and two on a GPU, one of
    which is fed while the other runs."""
    threads: PositiveInt | None = None
    """CPU threads of one run. By default what `instances` leaves for each."""


class EngineName(StrEnum):
    """What runs a graph."""

    ONNXRUNTIME = "onnxruntime"
    OPENVINO = "openvino"


class Precision(StrEnum):
    """What operations in FP32 are computed in."""

    FP32 = "fp32"
    BF16 = "bf16"
    FP16 = "fp16"


class Runtime(Section):
    """What runs the model. It changes digits of the answers, and nothing of how they are read: the two servers need not
    agree on it.
    """

    engine: EngineName = EngineName.ONNXRUNTIME
    """`onnxruntime`; or `openvino`, OpenVINO's own runtime, on a CPU: it needs the extra `openvino`, takes no strings,
    and computes INT64, UINT64, UINT32 and FP64 with 32 bits."""
    precision: Precision = Precision.FP32
    """What operations in FP32 are computed in. `bf16` and `fp16` are for `engine: openvino`, on CPUs with instructions
    for them (AVX-512 BF16 or AMX; AMX-FP16 or ARM's): up to twice as fast as `fp32`, with other answers in the second
    or third digit. Compare them on your own pictures first: `python -m bench.engines`. A CPU that has no such
    instructions refuses the model."""


class ModelInfo(Section):
    """What is said of the model, not used to compute with."""

    file: FileName = "model.onnx"
    """The ONNX file, beside `model.yaml`."""
    version: str = Field(default="1", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """The version that answers carry, and that `/v2/models/NAME/versions/VERSION` names."""
    description: str = ""
    """One sentence for people."""
    license: str = ""
    """The licence of the weights, as an SPDX identifier."""
    source: str = ""
    """Where the weights come from."""


class _Named(BaseModel):
    """An output section of which only the decoder is read."""

    decoder: str


class Contract(Section):
    """Everything that a picture needs to become a tensor, and a tensor to become an answer."""

    apiVersion: Literal["kserve-vision/v1"]
    """The version of this schema."""
    task: str
    """What the model does: `classification`, `detection`, `segmentation`, ..."""
    model: ModelInfo = ModelInfo()
    """The file and what is said of it."""
    input: InputRules
    """From the picture to the tensor."""
    output: SerializeAsAny[OutputRules]
    """From the tensor to the answer; its keys depend on the task and on `output.decoder`."""
    labels: FileName | None = None
    """A file beside `model.yaml`: text with one label a line, in the order of the class ids; or, with the ending
    `.json`, a list, or an object from class ids to labels where the ids have gaps. Without it, and in the gaps, answers
    carry the class id as the label."""
    batching: Batching = Batching()
    """How the predictor joins pictures."""
    runtime: Runtime = Runtime()
    """What runs the model."""

    @field_validator("task")
    @classmethod
    def _task_is_known(cls, task: str) -> str:
        check_task(task)
        return task

    @field_validator("output", mode="plain")
    @classmethod
    def _output_of_the_decoder(cls, output: object, info: ValidationInfo) -> OutputRules:
        """Validate by the rules of the decoder that is named."""
        if isinstance(output, OutputRules):
            return output
        if isinstance(output, dict) and "decoder" not in output:
            meant = get_close_matches("decoder", map(str, output), n=1)
            OutputRules.model_validate({key: output[key] for key in meant})  # which refuses it by its name
        named = _Named.model_validate(output).decoder
        if "task" not in info.data:  # which was refused already
            return OutputRules(decoder=named)
        return decoder_type(info.data["task"], named).rules_type.model_validate(output)
