"""The errors that a caller can meet, each with its code, its HTTP and gRPC status, and whether a retry can help.

::

    ServingError
    ├── ClientError                     what was sent is at fault: the same request fails again
    │   ├── RequestInvalid              400  INVALID_ARGUMENT     not the JSON, multipart or V2 that was expected
    │   ├── TensorInvalid               400  INVALID_ARGUMENT     a tensor's name, datatype, shape or bytes
    │   ├── ImageEmpty                  400  INVALID_ARGUMENT
    │   ├── ImageCorrupt                400  INVALID_ARGUMENT     a picture's header, but not its pixels
    │   ├── FieldMissing                422  INVALID_ARGUMENT     a form without the field that carries the picture
    │   ├── ImageTooLarge               413  INVALID_ARGUMENT     bytes, pixels or frames over the limit
    │   ├── RequestTooLarge             413  INVALID_ARGUMENT
    │   ├── ImageUnsupported            415  INVALID_ARGUMENT     not a picture, or a format that is not allowed
    │   ├── ContentTypeUnsupported      415  INVALID_ARGUMENT
    │   ├── RouteNotFound               404  UNIMPLEMENTED
    │   ├── MethodNotAllowed            405  UNIMPLEMENTED
    │   ├── ModelNotFound               404  NOT_FOUND
    │   ├── VersionNotFound             404  NOT_FOUND
    │   └── RepositoryClosed            403  PERMISSION_DENIED    load and unload are switched off
    ├── Unavailable                     the server cannot serve this now
    │   ├── ModelNotReady               503  UNAVAILABLE          loading, warming up or draining
    │   ├── ModelLoadFailed             503  UNAVAILABLE          no retry: somebody must mend the model directory
    │   │   └── ContractInvalid         503  UNAVAILABLE          model.yaml, its labels, or the graph beside it
    │   ├── DeviceOutOfMemory           503  UNAVAILABLE          the accelerator has no room for the run
    │   ├── DeviceLost                  503  UNAVAILABLE          the accelerator failed: only a new process helps
    │   ├── PredictorUnavailable        503  UNAVAILABLE
    │   └── ContractMismatch            503  UNAVAILABLE          predictor and transformer hold different contracts
    ├── Overloaded                      429  RESOURCE_EXHAUSTED
    ├── DeadlineExceeded                504  DEADLINE_EXCEEDED
    ├── PredictorFault                  502  INTERNAL             the predictor refused or answered nonsense
    ├── InferenceFailed                 500  INTERNAL             the model's own run failed
    └── InternalError                   500  INTERNAL             a bug of ours

Only leaves (and `ModelLoadFailed`) are raised; ``tests/unit/serving/test_errors.py`` walks the tree.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import ClassVar

import grpc


class ServingError(Exception):
    """An error with a stable `code`, an HTTP status, a gRPC status, and a sentence that says what would be right."""

    code: ClassVar[str]
    http_status: ClassVar[HTTPStatus]
    grpc_status: ClassVar[grpc.StatusCode]
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, retry_after_s: float | None = None, **details: object) -> None:
        """Hold `message`, and `details` (JSON values: limits, names, positions) for the error body.

        `retry_after_s` becomes the `Retry-After` header, rounded up to whole seconds.
        """
        super().__init__(message)
        self.message = message
        self.details = details
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        """Return the Open Inference Protocol's error text: ``CODE: message``."""
        return f"{self.code}: {self.message}"


class ClientError(ServingError):
    """The request is at fault."""

    grpc_status = grpc.StatusCode.INVALID_ARGUMENT


class RequestInvalid(ClientError):
    """The body is not what the route expects: broken JSON, a field of another type, a parameter out of range."""

    code = "REQUEST_INVALID"
    http_status = HTTPStatus.BAD_REQUEST


class TensorInvalid(ClientError):
    """A tensor's name, datatype, shape or byte count is not what it says or not what the model takes."""

    code = "TENSOR_INVALID"
    http_status = HTTPStatus.BAD_REQUEST


class ImageEmpty(ClientError):
    """There are no bytes where a picture should be, or the picture has no pixels."""

    code = "IMAGE_EMPTY"
    http_status = HTTPStatus.BAD_REQUEST


class ImageCorrupt(ClientError):
    """The bytes begin as a picture of an allowed format, but cannot be decoded to the end."""

    code = "IMAGE_CORRUPT"
    http_status = HTTPStatus.BAD_REQUEST


class FieldMissing(ClientError):
    """A form arrived without the field that carries the picture."""

    code = "FIELD_MISSING"
    http_status = HTTPStatus.UNPROCESSABLE_ENTITY


class ImageTooLarge(ClientError):
    """The picture has more bytes, pixels or frames than the server accepts; found before pixels are allocated."""

    code = "IMAGE_TOO_LARGE"
    http_status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class RequestTooLarge(ClientError):
    """The whole body, or the number of pictures in it, is over the limit."""

    code = "REQUEST_TOO_LARGE"
    http_status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class ImageUnsupported(ClientError):
    """The bytes are no picture, or a picture of a format that this server does not allow."""

    code = "IMAGE_UNSUPPORTED"
    http_status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE


class ContentTypeUnsupported(ClientError):
    """The request's content type or content encoding is not one that the route reads."""

    code = "CONTENT_TYPE_UNSUPPORTED"
    http_status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE


class RouteNotFound(ClientError):
    """No route has this path."""

    code = "ROUTE_NOT_FOUND"
    http_status = HTTPStatus.NOT_FOUND
    grpc_status = grpc.StatusCode.UNIMPLEMENTED


class MethodNotAllowed(ClientError):
    """The route exists, with another HTTP method."""

    code = "METHOD_NOT_ALLOWED"
    http_status = HTTPStatus.METHOD_NOT_ALLOWED
    grpc_status = grpc.StatusCode.UNIMPLEMENTED


class ModelNotFound(ClientError):
    """This server does not serve a model of that name."""

    code = "MODEL_NOT_FOUND"
    http_status = HTTPStatus.NOT_FOUND
    grpc_status = grpc.StatusCode.NOT_FOUND


class VersionNotFound(ClientError):
    """The model is served, but not in that version."""

    code = "VERSION_NOT_FOUND"
    http_status = HTTPStatus.NOT_FOUND
    grpc_status = grpc.StatusCode.NOT_FOUND


class RepositoryClosed(ClientError):
    """Loading and unloading over the network are switched off."""

    code = "REPOSITORY_CLOSED"
    http_status = HTTPStatus.FORBIDDEN
    grpc_status = grpc.StatusCode.PERMISSION_DENIED


class Unavailable(ServingError):
    """The server cannot answer this now."""

    http_status = HTTPStatus.SERVICE_UNAVAILABLE
    grpc_status = grpc.StatusCode.UNAVAILABLE
    retryable = True


class ModelNotReady(Unavailable):
    """The model is loading, warming up or draining."""

    code = "MODEL_NOT_READY"


class ModelLoadFailed(Unavailable):
    """The model could not be loaded; the message says what to mend."""

    code = "MODEL_LOAD_FAILED"
    retryable = False


class ContractInvalid(ModelLoadFailed):
    """`model.yaml` is missing or wrong, or does not fit its labels or the graph beside it."""

    code = "CONTRACT_INVALID"


class DeviceOutOfMemory(Unavailable):
    """The device has no memory for the run, even after the batch was halved."""

    code = "DEVICE_OUT_OF_MEMORY"


class DeviceLost(Unavailable):
    """The device failed in a way that lasts as long as this process: nothing runs on it any more."""

    code = "DEVICE_LOST"


class PredictorUnavailable(Unavailable):
    """The predictor cannot be reached, is not ready, or does not have the model."""

    code = "PREDICTOR_UNAVAILABLE"


class ContractMismatch(Unavailable):
    """The predictor serves another contract than the transformer decodes with."""

    code = "CONTRACT_MISMATCH"


class Overloaded(ServingError):
    """The queue is full; the request was not begun."""

    code = "OVERLOADED"
    http_status = HTTPStatus.TOO_MANY_REQUESTS
    grpc_status = grpc.StatusCode.RESOURCE_EXHAUSTED
    retryable = True


class DeadlineExceeded(ServingError):
    """The answer did not come in the time that the caller or the settings gave."""

    code = "DEADLINE_EXCEEDED"
    http_status = HTTPStatus.GATEWAY_TIMEOUT
    grpc_status = grpc.StatusCode.DEADLINE_EXCEEDED
    retryable = True


class PredictorFault(ServingError):
    """The predictor refused the transformer's tensors, failed on them, or answered something that cannot be decoded."""

    code = "PREDICTOR_FAULT"
    http_status = HTTPStatus.BAD_GATEWAY
    grpc_status = grpc.StatusCode.INTERNAL


class InferenceFailed(ServingError):
    """ONNX Runtime failed while it ran the model on a request that fits the model's inputs."""

    code = "INFERENCE_FAILED"
    http_status = HTTPStatus.INTERNAL_SERVER_ERROR
    grpc_status = grpc.StatusCode.INTERNAL


class InternalError(ServingError):
    """Something failed that no other error names. The log holds the cause under the same request id."""

    code = "INTERNAL"
    http_status = HTTPStatus.INTERNAL_SERVER_ERROR
    grpc_status = grpc.StatusCode.INTERNAL


def without_frames(error: ServingError) -> ServingError:
    """Return an error that holds none of the frames that it was raised through, nor those of its cause: they hold what
    the request was made of, and would keep it in memory as long as somebody holds the error.
    """
    error.__traceback__ = None
    if error.__cause__ is not None:
        error.__cause__.__traceback__ = None
    return error
