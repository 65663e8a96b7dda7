"""The settings of one process: those of both servers, but for the way from one to the other."""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from predictor.settings import PredictorSettings
from serving.settings import Seconds
from transformer.settings import PictureSettings


class EdgeSettings(PredictorSettings, PictureSettings):
    """The settings of both servers in one. Each is also an environment variable, in capitals."""

    drain_delay_seconds: Seconds = 5.0
    """Seconds from SIGTERM, when readiness turns off, to when no more connections are accepted: the time that endpoints
    and proxies need to stop sending. Requests are served meanwhile. SIGINT (Ctrl-C) does not wait."""
    predictor_host: str | None = None
    """Not to be set: this process is its own predictor, and asks no other. It is here to be refused, since it would
    otherwise be passed over in silence."""

    @model_validator(mode="after")
    def _has_no_other_predictor(self) -> Self:
        if self.predictor_host is not None:
            raise ValueError(
                f"predictor_host is {self.predictor_host!r:.80}, and this process is its own predictor: leave it out, "
                "or start `python -m transformer` to ask another one"
            )
        return self
