"""The predictor's settings."""

from __future__ import annotations

from pydantic import NonNegativeInt, PositiveInt

from predictor.device import Device
from serving.settings import Seconds, ServerSettings


class PredictorSettings(ServerSettings):
    """The predictor's settings. Each is also an environment variable, in capitals."""

    drain_delay_seconds: Seconds = 10.0
    """Seconds from SIGTERM to when no more connections are accepted. A transformer in the same pod gets the signal at
    the same moment, and asks the predictor until its own last request is answered: this must be longer than its delay
    and its longest request together."""
    device: Device = Device.AUTO
    """Where the model runs: `auto` takes the first of cuda and cpu that works; any other is taken or refused."""
    fuse_input: bool = True
    """Whether cast, normalisation and layout are compiled into the graph, so that the input is UINT8 pixels. Off, the
    model's own input is served."""
    fuse_output: bool = True
    """Whether the contract's decoder is compiled into the graph, so that its outputs are small: the best boxes of a
    detector, the class of each pixel. Off, the model's own outputs are served; a transformer reads both."""
    num_threads: NonNegativeInt = 0
    """Threads of one run of the model. 0 takes the CPUs of the cgroup's limit."""
    max_batch_size: PositiveInt | None = None
    """The most rows in one run; what the contract says where it is not set."""
    instances: PositiveInt = 1
    """Runs of the model side by side."""
