"""The predictor's settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, NonNegativeInt, PositiveInt

from predictor.engines import Optimization
from predictor.engines.device import Device
from serving.contract import Batching, EngineName, Precision, Runtime
from serving.settings import Seconds, ServerSettings


class PredictorSettings(ServerSettings):
    """The predictor's settings. Each is also an environment variable, in capitals."""

    drain_delay_seconds: Seconds = 10.0
    """Seconds from SIGTERM to when no more connections are accepted. A transformer in the same pod gets the signal at
    the same moment, and asks the predictor until its own last request is answered: this must be longer than its delay
    and its longest request together."""
    device: Device = Device.AUTO
    """Where the model runs: `auto` takes the first of cuda and cpu that works; any other is taken or refused."""
    engine: EngineName | None = None
    """What runs the model: `onnxruntime`, or `openvino` on a CPU; what the contract says (`runtime.engine`) where it is
    not set."""
    precision: Precision | None = None
    """What operations in FP32 are computed in, `fp32`, `bf16` or `fp16`; what the contract says (`runtime.precision`)
    where it is not set."""
    fuse_input: bool = True
    """Whether cast, normalisation and layout are compiled into the graph, so that the input is UINT8 pixels. Off, the
    model's own input is served."""
    fuse_output: bool = True
    """Whether the contract's decoder is compiled into the graph, so that its outputs are what it reads: a picture's
    classes in order, the best boxes of a detector, the class of each pixel. Off, the model's own outputs are served; a
    transformer reads both."""
    num_threads: NonNegativeInt = 0
    """CPU threads of one run of the model. 0 takes what the contract says (`batching.threads`), or what suits the
    CPUs to make use of (CPUS)."""
    instances: NonNegativeInt = 0
    """Runs of the model side by side. 0 takes what the contract says (`batching.instances`), or what suits the
    device."""
    max_batch_size: PositiveInt | None = None
    """The most rows in one run; what the contract says where it is not set."""
    batch_timeout_ms: Annotated[float, Field(ge=0, le=10_000, allow_inf_nan=False)] | None = None
    """The most milliseconds that a row waits for company while the device is free; the contract's
    `batching.max_delay_ms` where it is not set. 0: never."""
    batch_adaptive: bool | None = None
    """Whether a row waits only while that pays; the contract's `batching.adaptive` where it is not set."""

    # The device. Where none of them is set, a model runs as ONNX Runtime runs it.
    cuda_graphs: bool = True
    """Whether the runs of each batch size are recorded on a CUDA device, and replayed: one call instead of one for each
    node. Every recording is held against a plain run; where it differs, or the graph does not allow it, runs are plain.
    Each of the instances then holds the weights for itself."""
    cuda_tf32: bool = True
    """Whether a CUDA device may multiply FP32 numbers with the 10 bits of TF32, several times as fast. Off, answers are
    as near to the CPU's as FP32 allows."""
    device_memory_mb: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """MiB of the device's memory that each session may take beside CUDA's own; all of it where it is not set. A run
    that would need more is answered with DEVICE_OUT_OF_MEMORY, after the batch was halved once."""
    cache_dir: Path | None = None
    """A folder on a volume that outlives the pod, for the engines that TensorRT builds: minutes once, instead of at
    every start. Replicas may share it, with other models and other GPUs too."""
    graph_optimization: Optimization = Optimization.ALL
    """How far ONNX Runtime may rewrite the graph: `all`, `extended`, `basic` or `none`. Less is slower, and tells
    whether a wrong answer is the model's or the optimiser's."""
    memory_arena: bool = True
    """Whether the memory of a run on the CPU is kept for the next one. Off, an idle model holds little more than its
    weights, and each run takes a quarter longer."""

    def runtime(self, contract: Runtime) -> Runtime:
        """Return what runs the model: the contract's choice with what is set here."""
        said = {"engine": self.engine, "precision": self.precision}
        return contract.model_copy(update={key: value for key, value in said.items() if value is not None})

    def batching(self, contract: Batching) -> Batching:
        """Return the contract's rules with what is set here."""
        said = {
            "max_batch_size": self.max_batch_size,
            "max_delay_ms": self.batch_timeout_ms,
            "adaptive": self.batch_adaptive,
            "instances": self.instances or None,
            "threads": self.num_threads or None,
        }
        return contract.model_copy(update={key: value for key, value in said.items() if value is not None})
