"""The transformer's settings."""

from __future__ import annotations

from math import ceil
from typing import Annotated, Literal, Self

from pydantic import Field, FilePath, NonNegativeInt, PositiveInt, field_validator, model_validator
from pydantic_settings import NoDecode

from serving.memory import memory_limit
from serving.settings import PositiveSeconds, ServerSettings, env
from transformer.address import UNIX, Address, has_port
from transformer.pictures import Limits

PredictorProtocol = Literal["grpc-v2", "v2"]
"""How the predictor is asked, by KServe's names: V2 over gRPC, or over REST."""


class PictureSettings(ServerSettings):
    """What a server of pictures can be told, wherever its predictor is."""

    # The pictures.
    max_upload_mb: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 20.0
    """The largest encoded picture, in MiB."""
    max_image_pixels: PositiveInt = 50_000_000
    """The most pixels of one picture, told from its header before any are decoded."""
    max_image_frames: PositiveInt = 1000
    """The most frames of an animation; the first one is used."""
    image_formats: Annotated[tuple[str, ...], NoDecode] = ("JPEG", "PNG", "WEBP", "BMP", "GIF")
    """The formats that are decoded. TIFF can be added; each format is code that reads what strangers send."""
    decode_threads: NonNegativeInt = 0
    """Threads that decode pictures. 0 takes one for each CPU to make use of (CPUS)."""
    max_decode_mb: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """MiB of memory that pictures may take together while they are decoded and resized, told by their headers. Those
    that there is no room for wait in their turn, and one that takes more alone is refused. A pixel of a PNG in color
    takes 4 bytes, with alpha 8, of a WebP 16 to 18, of a progressive JPEG up to 10; of another JPEG that is decoded to
    scale, next to none. 0 takes half of the cgroup's memory limit, or of the machine's memory."""

    # The cache.
    cache_mb: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """MiB for what the model said of pictures, so that the same bytes are not decoded and inferred again; 0 for none. A
    classified picture takes 10 KiB where there are 1000 classes, one with masks up to some MiB; one that would take
    over an eighth of this is not kept. Answers are the same, whatever options they ask for, but for their time: a
    caller can tell from it whether somebody has sent that picture before."""
    cache_ttl_seconds: PositiveSeconds = 300.0
    """Seconds that it is kept. It goes at once when this server unloads the model's version or loads it anew, and is
    not used from the predictor's first answer of another version on. Nothing tells of other weights under the same
    version: for so long there may be answers of the old ones."""
    collapse_identical: bool = False
    """Whether a picture that another request is asking of waits for that one's outcome instead of being inferred beside
    it. Where there is a cache, it always does."""

    # The answer.
    top_k: PositiveInt | None = None
    """How many classes an answer holds; what the contract says where it is not set."""
    confidence_threshold: Annotated[float, Field(ge=0, le=1)] | None = None
    """Candidates with a smaller score are left out, whatever their class; what the contract says where it is not set,
    its `class_thresholds` included."""
    cors_origins: Annotated[tuple[str, ...], NoDecode] = ()
    """Origins whose pages may call the REST routes, separated by commas; `*` for all. None by default."""

    @property
    def decode_bytes(self) -> int:
        """The bytes of memory that pictures may take together while they are decoded."""
        return ceil(self.max_decode_mb * 2**20) or memory_limit() // 2

    @property
    def limits(self) -> Limits:
        """The limits of one picture."""
        return Limits(
            max_bytes=int(self.max_upload_mb * 2**20),
            max_pixels=self.max_image_pixels,
            max_frames=self.max_image_frames,
            max_memory=self.decode_bytes,
            formats=frozenset(self.image_formats),
        )

    @model_validator(mode="after")
    def _limits_hold(self) -> Self:
        _ = self.limits  # raises ValueError for a format that nobody knows
        return self

    @field_validator("image_formats", "cors_origins", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        """Take `a,b` of the environment as two values."""
        values = [value] if isinstance(value, str) else value
        if not isinstance(values, list):
            return values
        return [part.strip() for text in values for part in str(text).split(",") if part.strip()]


class TransformerSettings(PictureSettings):
    """The transformer's settings. Each is also an environment variable, in capitals."""

    # The predictor.
    predictor_host: str = "127.0.0.1:8091"
    """The predictor's host and port; port 80 where none is given, as KServe's controller means it. Several addresses
    behind one name are used in turn. Of a predictor on the same machine, `unix:///PATH` is its UNIX_SOCKET."""
    predictor_protocol: PredictorProtocol | None = None
    """`grpc-v2` or `v2` (REST with binary tensors). Where it is not set: `grpc-v2` if the host has a port, and `v2` if
    it has none, since port 80 of a KServe predictor is REST's, and so is the Unix socket of ours."""
    predictor_use_ssl: bool = False
    """Whether the connection to the predictor is encrypted."""
    predictor_ca_file: FilePath | None = Field(
        default=None, validation_alias=env("predictor_ca_file", "requests_ca_bundle", "curl_ca_bundle")
    )
    """The certificates that the predictor's is checked against, PEM; the system's where there is none."""
    predictor_request_timeout_seconds: PositiveSeconds = 30.0
    """Seconds that one request to the predictor may take, retries included."""
    predictor_request_retries: Annotated[NonNegativeInt, Field(le=4)] = 2
    """How often a request is sent again when the predictor is not reachable. Inference changes nothing, so that sending
    it twice does no harm."""
    predictor_keepalive_seconds: PositiveInt = 30
    """Seconds of silence after which gRPC's connection is probed, so that a vanished predictor is noticed. One of REST
    is replaced at that age, by one to the next of the predictor's addresses."""

    @property
    def protocol_to_predictor(self) -> PredictorProtocol:
        """The protocol that was chosen, or that the host suggests."""
        if self.predictor_protocol is not None:
            return self.predictor_protocol
        is_rest = self.predictor_host.startswith(UNIX) or not has_port(self.predictor_host)
        return "v2" if is_rest else "grpc-v2"

    @model_validator(mode="after")
    def _predictor_can_be_asked(self) -> Self:
        if self.protocol_to_predictor == "grpc-v2":
            return self
        address = Address.parse(self.predictor_host)  # raises ValueError for what REST cannot reach
        if address.unix_path and self.predictor_use_ssl:
            raise ValueError(
                f"predictor_use_ssl is set, and {self.predictor_host} is a Unix socket: it is not encrypted"
            )
        return self
