"""What the suite is pointed at, and what a server may lawfully do without."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

BytesSample = Literal["picture", "text"]

# On unless `--oip-without` names them: what the protocol, or an extension of it, leaves to the server.
OPTIONAL: Mapping[str, str] = MappingProxyType(
    {
        "grpc": "the gRPC half of the protocol",
        "error-object": '{"error": text} in every refusal; the protocol wants it: switched off to see what else fails',
        "versions": "routes and fields that name a version of the model",
        "binary": "the binary tensor data extension of REST",
        "grpc-raw": "raw_input_contents in gRPC requests",
        "grpc-typed": "typed contents in gRPC requests",
        "grpc-raw-outputs": "raw_output_contents in the answer to a raw gRPC request",
        "grpc-outputs": "a choice of outputs in gRPC requests",
        "deterministic": "the same answer to the same input",
        "row-wise": "rows of a batch that are answered one by one, the batch leading every output's shape",
    }
)
# Off unless `--oip-with` names them: promises beyond the protocol. Our own servers make them.
PROMISES: Mapping[str, str] = MappingProxyType(
    {
        "strict": "one status per kind of error and no coercion, where the protocol leaves a choice",
        "repository-closed": "loading and unloading over the network refused",
        "several-versions": "a model with more than one version, numbers, of which the largest is the default",
    }
)


@dataclass(frozen=True)
class Target:
    """One model on one running server."""

    rest_url: str
    grpc_target: str
    """``host:port``; empty for a server without gRPC."""
    model: str
    version: str | None = None
    """A version that can be asked for by name; None: the first that the model's metadata lists."""
    capabilities: frozenset[str] = frozenset(OPTIONAL)
    bytes_sample: BytesSample = "picture"
    """What an element of a BYTES input holds: a small PNG, or a word."""
    reasons: Mapping[str, str] = field(default_factory=dict)
    """Why the server does without a capability, where the command line says so."""

    def offers(self, capability: str) -> bool:
        """Say whether the server has `capability`, one of `OPTIONAL` and `PROMISES`."""
        return capability in self.capabilities

    def lacks(self, capability: str) -> str:
        """Return the sentence with which a case that needs `capability` is skipped."""
        meaning = {**OPTIONAL, **PROMISES}[capability]
        reason = self.reasons.get(capability)
        return f"without {capability} ({meaning})" + (f": {reason}" if reason else "")


def parse_switches(options: Iterable[str], known: Mapping[str, str]) -> dict[str, str]:
    """Read ``name`` or ``name=reason``, separated by commas, into reasons by name.

    Raises:
        ValueError: for a name that is not `known`.
    """
    switches: dict[str, str] = {}
    for item in (item.strip() for option in options for item in option.split(",")):
        name, _, reason = item.partition("=")
        if name not in known:
            raise ValueError(f"{name!r} is none of {', '.join(known)}")
        switches[name] = reason
    return switches
