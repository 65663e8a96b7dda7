"""Where the suite is pointed at a server: options, the target, and the connections to it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import get_args

import grpc
import httpx
import pytest

from tests.repository import SEVERAL
from tests.servers import MODEL, RunningPair, RunningServer

from .answers import ModelMetadata
from .rest import RestServer, document, read_answer, read_object
from .rpc import UNLIMITED, RpcServer
from .target import OPTIONAL, PROMISES, BytesSample, Target, parse_switches
from .tensors import Tensor, TensorSpec, sample

Inputs = Callable[..., list[Tensor]]
TIMEOUT_S = 30.0
OWN = ("predictor", "transformer")
"""Our own servers before one model; a module whose `OWN` is another is held against those."""
GIVEN = pytest.StashKey[Target]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("open inference protocol")
    group.addoption("--oip-rest", metavar="URL", help="the server's REST address; without it, our own servers")
    group.addoption("--oip-grpc", metavar="HOST:PORT", help="the server's gRPC address")
    group.addoption("--oip-model", metavar="NAME", help="the model that is asked")
    group.addoption("--oip-version", metavar="V", help="a version of the model; else the first of its metadata")
    for option, known in (("--oip-without", OPTIONAL), ("--oip-with", PROMISES)):
        names = "; ".join(f"{name}: {meaning}" for name, meaning in known.items())
        group.addoption(option, action="append", default=[], metavar="NAME[=REASON],...", help=names)
    group.addoption(
        "--oip-bytes-sample",
        choices=get_args(BytesSample),
        default="picture",
        help="what an element of a BYTES input holds",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(*capabilities): skipped where the server does without one of them")
    if config.getoption("--oip-rest", default=None):
        config.stash[GIVEN] = given_target(config)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "target" in metafunc.fixturenames:
        ids = ("given",) if GIVEN in metafunc.config.stash else getattr(metafunc.module, "OWN", OWN)
        metafunc.parametrize("target", ids, indirect=True, scope="session")


def given_target(config: pytest.Config) -> Target:
    """Build the target that the command line describes.

    Raises:
        pytest.UsageError: for options that do not go together.
    """
    rest, rpc, model = (config.getoption(f"--oip-{name}") for name in ("rest", "grpc", "model"))
    try:
        without = parse_switches(config.getoption("--oip-without"), OPTIONAL)
        promises = parse_switches(config.getoption("--oip-with"), PROMISES)
    except ValueError as unknown:
        raise pytest.UsageError(f"--oip-without, --oip-with: {unknown}") from unknown
    if not model:
        raise pytest.UsageError("--oip-rest needs --oip-model NAME")
    if not rpc and "grpc" not in without:
        raise pytest.UsageError("give --oip-grpc HOST:PORT, or --oip-without grpc")
    return Target(
        rest_url=rest,
        grpc_target=rpc or "",
        model=model,
        version=config.getoption("--oip-version"),
        capabilities=frozenset(OPTIONAL) - without.keys() | promises.keys(),
        bytes_sample=config.getoption("--oip-bytes-sample"),
        reasons=without,
    )


@pytest.fixture(scope="session")
def target(request: pytest.FixtureRequest) -> Iterator[Target]:
    """The server under test: that of the options, else one of our own."""
    if request.param == "given":
        given = request.config.stash[GIVEN]
        try:
            httpx.get(f"{given.rest_url}/v2/health/live", timeout=TIMEOUT_S, trust_env=False)
        except httpx.TransportError as unreachable:
            pytest.exit(f"nothing answers at {given.rest_url}: {unreachable}", returncode=pytest.ExitCode.USAGE_ERROR)
        yield given
        return
    name, _, several = request.param.partition(" of ")
    pair: RunningPair = request.getfixturevalue("repository_pair" if several else "pair")
    server: RunningServer = getattr(pair, name)
    without = "repository-closed" if several else "several-versions"
    offered = frozenset(OPTIONAL) | frozenset(PROMISES) - {without}
    yield Target(server.url, server.grpc, SEVERAL if several else MODEL, capabilities=offered)


@pytest.fixture(autouse=True)
def _capable(request: pytest.FixtureRequest, target: Target) -> None:
    for marker in request.node.iter_markers("needs"):
        for capability in marker.args:
            if not target.offers(capability):
                pytest.skip(target.lacks(capability))


@pytest.fixture(scope="session")
def rest(target: Target) -> Iterator[RestServer]:
    # A server may close a connection behind any answer, so none is used twice.
    limits = httpx.Limits(max_keepalive_connections=0)
    with httpx.Client(base_url=target.rest_url, timeout=TIMEOUT_S, trust_env=False, limits=limits) as http:
        yield RestServer(http, target)


@pytest.fixture(scope="session")
def rpc(target: Target) -> Iterator[RpcServer]:
    with grpc.insecure_channel(target.grpc_target, options=UNLIMITED) as channel:
        yield RpcServer(channel, target)


@pytest.fixture(scope="session")
def metadata(rest: RestServer) -> ModelMetadata:
    """The model as its metadata over REST describes it."""
    body = read_object(rest.get(rest.model_path()))
    inputs, outputs = (
        tuple(TensorSpec(spec["name"], spec["datatype"], tuple(spec["shape"])) for spec in body[side])
        for side in ("inputs", "outputs")
    )
    return ModelMetadata(body["name"], tuple(body.get("versions") or ()), body["platform"], inputs, outputs)


@pytest.fixture
def version(target: Target, metadata: ModelMetadata) -> str:
    """A version that can be asked for by name."""
    if not (target.version or metadata.versions):
        pytest.fail("the metadata lists no version: give --oip-version V, or --oip-without versions")
    return target.version or metadata.versions[0]


@pytest.fixture(scope="session")
def make_inputs(target: Target, metadata: ModelMetadata) -> Inputs:
    """What makes up a valid request: ``make_inputs(rows=1, seed=0)``."""

    def make(rows: int = 1, seed: int = 0) -> list[Tensor]:
        if rows > 1 and not metadata.is_batched:
            pytest.skip("the model takes no batches: the first dimension of an input is fixed")
        return [sample(spec, rows, seed + index, target.bytes_sample) for index, spec in enumerate(metadata.inputs)]

    return make


@pytest.fixture(scope="session")
def inputs(make_inputs: Inputs) -> list[Tensor]:
    """One valid request."""
    return make_inputs()


@pytest.fixture(scope="session")
def valid_body(inputs: list[Tensor]) -> bytes:
    return json.dumps(document(inputs)).encode()


@pytest.fixture
def still_serves(rest: RestServer, valid_body: bytes) -> Iterator[None]:
    """Once the test is over, the server answers a valid request as if nothing had happened."""
    yield
    read_answer(rest.post(valid_body))
