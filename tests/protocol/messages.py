"""The protobuf messages and stubs of the protocol, from the KServe SDK.

The SDK parses the command line when it is imported, and takes an abbreviation such as pytest's ``--co`` for one of its
own flags; so it is imported with the command line out of sight.
"""

from __future__ import annotations

import sys

_command_line, sys.argv = sys.argv, sys.argv[:1]

from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb  # noqa: E402
from kserve.protocol.grpc import grpc_predict_v2_pb2_grpc as pb_grpc  # noqa: E402

sys.argv = _command_line

__all__ = ["pb", "pb_grpc"]
