from __future__ import annotations

import re
from collections.abc import Iterator

import grpc
import pytest

from serving import errors
from serving.errors import ServingError

INVALID, UNAVAILABLE = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.UNAVAILABLE
MISSING, INTERNAL = grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INTERNAL

TABLE: dict[str, tuple[str, int, grpc.StatusCode, bool]] = {
    "RequestInvalid": ("REQUEST_INVALID", 400, INVALID, False),
    "TensorInvalid": ("TENSOR_INVALID", 400, INVALID, False),
    "ImageEmpty": ("IMAGE_EMPTY", 400, INVALID, False),
    "ImageCorrupt": ("IMAGE_CORRUPT", 400, INVALID, False),
    "FieldMissing": ("FIELD_MISSING", 422, INVALID, False),
    "ImageTooLarge": ("IMAGE_TOO_LARGE", 413, INVALID, False),
    "RequestTooLarge": ("REQUEST_TOO_LARGE", 413, INVALID, False),
    "ImageUnsupported": ("IMAGE_UNSUPPORTED", 415, INVALID, False),
    "ContentTypeUnsupported": ("CONTENT_TYPE_UNSUPPORTED", 415, INVALID, False),
    "RouteNotFound": ("ROUTE_NOT_FOUND", 404, grpc.StatusCode.UNIMPLEMENTED, False),
    "MethodNotAllowed": ("METHOD_NOT_ALLOWED", 405, grpc.StatusCode.UNIMPLEMENTED, False),
    "ModelNotFound": ("MODEL_NOT_FOUND", 404, MISSING, False),
    "VersionNotFound": ("VERSION_NOT_FOUND", 404, MISSING, False),
    "RepositoryClosed": ("REPOSITORY_CLOSED", 403, grpc.StatusCode.PERMISSION_DENIED, False),
    "ModelNotReady": ("MODEL_NOT_READY", 503, UNAVAILABLE, True),
    "ModelLoadFailed": ("MODEL_LOAD_FAILED", 503, UNAVAILABLE, False),
    "ContractInvalid": ("CONTRACT_INVALID", 503, UNAVAILABLE, False),
    "DeviceOutOfMemory": ("DEVICE_OUT_OF_MEMORY", 503, UNAVAILABLE, True),
    "DeviceLost": ("DEVICE_LOST", 503, UNAVAILABLE, True),
    "PredictorUnavailable": ("PREDICTOR_UNAVAILABLE", 503, UNAVAILABLE, True),
    "ContractMismatch": ("CONTRACT_MISMATCH", 503, UNAVAILABLE, True),
    "Overloaded": ("OVERLOADED", 429, grpc.StatusCode.RESOURCE_EXHAUSTED, True),
    "DeadlineExceeded": ("DEADLINE_EXCEEDED", 504, grpc.StatusCode.DEADLINE_EXCEEDED, True),
    "PredictorFault": ("PREDICTOR_FAULT", 502, INTERNAL, False),
    "InferenceFailed": ("INFERENCE_FAILED", 500, INTERNAL, False),
    "InternalError": ("INTERNAL", 500, INTERNAL, False),
}
"""What clients program against; a change here is a change of the interface."""


def descendants(error: type[ServingError]) -> Iterator[type[ServingError]]:
    for child in error.__subclasses__():
        yield child
        yield from descendants(child)


def test_every_error_that_is_raised_has_its_own_code_and_its_statuses() -> None:
    raised = {error.__name__: error for error in descendants(ServingError) if "code" in vars(error)}

    found = {n: (e.code, int(e.http_status), e.grpc_status, e.retryable) for n, e in raised.items()}

    assert found == TABLE
    assert len({code for code, *_ in found.values()}) == len(found)
    leaves = {error.__name__ for error in descendants(ServingError) if not error.__subclasses__()}
    assert leaves <= TABLE.keys()


def test_the_tree_at_the_top_of_the_module_is_the_tree_of_its_classes() -> None:
    drawn: dict[str, tuple[str, int | None, str | None]] = {}
    parents = ["ServingError"]
    for branch, name, status, code in re.findall(
        r"^([ │]*[├└]── )(\w+)(?: +(\d{3})  ([A-Z_]+))?", re.sub("(?m)^    ", "", errors.__doc__ or ""), re.MULTILINE
    ):
        depth = len(branch) // 4
        parents[depth:] = [name]
        drawn[name] = (parents[depth - 1], int(status) if status else None, code or None)

    built: dict[str, tuple[str, int | None, str | None]] = {}
    for error in descendants(ServingError):
        raised = "code" in vars(error)
        statuses = (int(error.http_status), error.grpc_status.name) if raised else (None, None)
        built[error.__name__] = (error.__mro__[1].__name__, *statuses)
    assert drawn == built


def test_an_error_is_told_as_the_protocol_wants_it() -> None:
    error = errors.ImageTooLarge("the picture has 9 pixels", limit=4)

    assert str(error) == "IMAGE_TOO_LARGE: the picture has 9 pixels"
    assert (error.message, error.details, error.retry_after_s) == ("the picture has 9 pixels", {"limit": 4}, None)


@pytest.mark.parametrize("name", TABLE)
def test_what_a_client_sent_is_never_a_fault_of_the_server(name: str) -> None:
    error: type[ServingError] = getattr(errors, name)

    assert issubclass(error, errors.ClientError) == (400 <= int(error.http_status) < 500 and name != "Overloaded")
