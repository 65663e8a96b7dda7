"""The settings that both servers share: environment variables, each also a command-line flag.

A flag wins over its environment variable. Flags are spelled as KServe's controller spells them (`--http_port`), and
with dashes too. The order of the groups is the order in which a server meets them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AliasChoices, BeforeValidator, Field, FilePath, PositiveInt, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from serving.admission import Bounds
from serving.contract.repository import VersionFolder
from serving.cpu import cpu_limit, read_cpus
from serving.log import LogFormat

Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
PositiveSeconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Cpus = Annotated[float, BeforeValidator(read_cpus), Field(ge=0, allow_inf_nan=False)]

KSERVE_FLAGS_WITHOUT_EFFECT: Final = frozenset(
    {
        "access_log_format", "configure_logging", "enable_docs_url", "enable_latency_logging", "event_loop",
        "enable_predictor_health_check", "log_config_file", "max_asyncio_workers", "max_threads", "protocol", "workers",
    }
)  # fmt: skip
"""Flags of the KServe SDK that a manifest or the controller may pass, and that have nothing to set here.

`workers` among them: the controller derives it from `containerConcurrency`, and the SDK would start that many processes
that cannot share a session or a predictor client. A server is one process; replicas scale it.
"""


def env(*names: str) -> Any:
    """Alias a setting: the first name is the one that is documented."""
    return AliasChoices(*names)


class SettingsError(ValueError):
    """A setting is wrong; the message names it and what would be right."""


class ServerSettings(BaseSettings):
    """What both servers can be told."""

    model_config = SettingsConfigDict(
        cli_avoid_json=True,
        cli_hide_none_type=True,
        env_ignore_empty=True,
        frozen=True,
        populate_by_name=True,
        protected_namespaces=(),
        use_attribute_docstrings=True,
    )

    # The model.
    model_dir: Path = Field(default=Path("/mnt/models"), validation_alias=env("model_dir", "model_path"))
    """The model directory: `model.onnx`, `model.yaml`, labels; or a repository of them, `NAME/VERSION/model.yaml`, with
    the names and the versions of its folders (`NAME/model.yaml` is a model with the version of its contract). KServe's
    storage initializer fills /mnt/models."""
    model_name: str = Field(default="model", validation_alias=env("model_name", "inference_service_name"), min_length=1)
    """The name of a single model directory in the routes; of a repository's models, the one that a transformer's
    `/predict` asks by default. KServe's controller gives it: `--model_name` to a transformer, INFERENCE_SERVICE_NAME to
    a predictor."""
    model_control: bool = False
    """Whether models are loaded and unloaded over the network while the server runs: `POST
    /v2/repository/models/NAME/load` reads the model's folder anew, `/unload` closes it. Whoever reaches the port may do
    so: keep it closed to strangers."""
    load_timeout_seconds: PositiveSeconds = 300.0
    """Seconds after which such a load is answered with DEADLINE_EXCEEDED, and goes on; a caller can ask for less."""

    # The network.
    host: str = "0.0.0.0"  # noqa: S104  # a pod is reached from outside of it
    """The address that REST and gRPC listen on."""
    http_port: Port = Field(default=8080, validation_alias=env("http_port", "port"))
    """The port of REST. 0 takes a free one."""
    grpc_port: Port = 8081
    """The port of gRPC. 0 takes a free one."""
    unix_socket: Path | None = None
    """The path of a Unix socket that REST is served on too, such as /run/kserve-vision/predictor.sock in a folder that
    both containers of a pod mount: the cheapest way from a transformer to its predictor (`--predictor_host=unix://PATH`).
    A file that a dead server left there is replaced. It is never encrypted."""
    unix_socket_mode: Annotated[str, Field(pattern="^0?[0-7]{3}$")] = "0660"
    """The mode of that file, in octal: who may write to it may connect."""
    enable_grpc: bool = True
    """Whether gRPC is served."""
    timeout_keep_alive: PositiveInt = 65
    """Seconds that an idle HTTP connection is kept: longer than the proxies before it keep theirs (60 s in Envoy and
    nginx), or they meet connections that are being closed."""
    grpc_max_receive_message_length: PositiveInt = 64 * 2**20
    """The largest gRPC message that is read, in bytes. The KServe SDK's 8 MiB hold one 640x640 picture in FP32."""
    grpc_max_send_message_length: PositiveInt = 64 * 2**20
    """The largest gRPC message that is written, in bytes."""
    max_body_bytes: PositiveInt = 64 * 2**20
    """The largest HTTP body that is read, in bytes; a larger one is refused before it is read to its end."""
    ssl_certfile: FilePath | None = Field(default=None, validation_alias=env("ssl_certfile", "kserve_tls_cert_file"))
    """The certificate of REST, PEM. gRPC is plaintext: leave encryption inside the cluster to the mesh."""
    ssl_keyfile: FilePath | None = Field(default=None, validation_alias=env("ssl_keyfile", "kserve_tls_key_file"))
    """The certificate's key, PEM."""

    # The work.
    cpus: Cpus = 0.0
    """CPUs to make use of, `2` or `1500m`: threads, runs side by side and `kserve_vision_load` are reckoned by them,
    rounded up. A container's CPU limit holds where it is less. 0 takes the limit, or CPU_REQUEST where there is none,
    or the CPUs of the machine."""
    cpu_request: Cpus = 0.0
    """CPUs that Kubernetes keeps for a container without a CPU limit: its `requests.cpu`, which the runtimes hand on.
    Four count at least, where the machine has them: a request of one would leave a GPU waiting for pictures beside idle
    CPUs that are paid for. On a busy node each of the four has its share of what was asked for."""
    infer_timeout_seconds: PositiveSeconds = 30.0
    """Seconds that one request may take, from its head to its answer; a caller can ask for less."""
    max_queue_rows: PositiveInt = 256
    """Rows (pictures) that may wait or be worked on at a time; one more is answered with OVERLOADED."""
    max_queue_mb: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 512.0
    """MiB of tensors, or of encoded pictures, that may wait or be worked on at a time; and MiB of requests' bodies that
    may be here at a time, from their arrival to their answers. A container needs more memory than that."""
    max_queue_seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.3
    """Seconds of work for the same model that may wait ahead of a request, estimated from recent requests; with more,
    it is answered with OVERLOADED at once, so that another replica can take it. 32 rows may wait however long they
    take, and until a crowd of them has shown how long a row takes, only the other bounds hold."""

    # The end.
    drain_delay_seconds: Seconds = 5.0
    """Seconds from SIGTERM, when readiness turns off, to when no more connections are accepted: the time that endpoints
    and proxies need to stop sending. Requests are served meanwhile. SIGINT (Ctrl-C) does not wait."""
    drain_timeout_seconds: PositiveSeconds = 15.0
    """Seconds that accepted requests have to end once no more are accepted. The pod's termination grace period must be
    longer than the delay and this together; Kubernetes' own is 30, and with Knative it is the revision's timeout."""

    exit_when_useless: bool = False
    """Whether the server ends by itself, with exit code 1, once nothing that it waits for makes it ready: none of its
    models can be loaded as it lies on the disk, or its device is lost. Kubernetes then says why in the pod's status,
    and starts the container again. By default the server stays, not ready, and tells whoever asks."""

    # What is seen of it.
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """The least severe line that is written. At WARNING the line for each request is left out; what the server lives
    through (listening, ready, draining) is always written."""
    log_format: LogFormat = "json"
    """`json`, one object a line; or `console`, for people."""

    @property
    def cpu_count(self) -> int:
        """CPUs to make use of, whatever says how many."""
        return cpu_limit(self.cpus, self.cpu_request)

    @property
    def bounds(self) -> Bounds:
        """How much is let in at a time."""
        return Bounds(self.max_queue_rows, int(self.max_queue_mb * 2**20), self.max_queue_seconds)

    def for_folder(self, folder: VersionFolder) -> Self:
        """Return the settings of one version out of a repository: of its name and its directory."""
        return self.model_copy(update={"model_name": folder.name, "model_dir": folder.path})

    @model_validator(mode="after")
    def _ports_differ(self) -> Self:
        if self.enable_grpc and self.http_port == self.grpc_port != 0:
            raise ValueError(f"http_port and grpc_port are both {self.http_port}: each needs its own")
        return self

    @classmethod
    def parse(cls, arguments: Sequence[str], program: str) -> Self:
        """Read the settings from the environment and `arguments` (without the program's name).

        Raises:
            SettingsError: a value is wrong.
            SystemExit: a flag is unknown (2), or `--help` was asked for (0).
        """
        try:
            return cls(_cli_parse_args=_with_underscores(arguments), _cli_prog_name=program)
        except ValidationError as error:
            raise SettingsError("; ".join(_explain(dict(fault)) for fault in error.errors())) from error


def _explain(fault: dict[str, Any]) -> str:
    name = ".".join(map(str, fault["loc"]))
    message: str = fault["msg"].removeprefix("Value error, ")
    if not name or fault["type"] == "value_error":
        return message
    return f"{name} is {fault['input']!r:.80}: {message[:1].lower()}{message[1:]}"


def _with_underscores(arguments: Sequence[str]) -> list[str]:
    """Spell flags as the settings are spelled, and drop those of the SDK that have no effect here."""
    kept: list[str] = []
    pending = list(arguments)
    while pending:
        argument = pending.pop(0)
        if not argument.startswith("--"):
            kept.append(argument)
            continue
        flag, equals, value = argument[2:].partition("=")
        name = flag.replace("-", "_")
        if name not in KSERVE_FLAGS_WITHOUT_EFFECT:
            kept.append(f"--{name}{equals}{value}")
        elif not equals and pending and not pending[0].startswith("--"):
            pending.pop(0)
    return kept
