"""The one door to the KServe SDK: nothing else imports `kserve`.

Importing the SDK parses `sys.argv` with abbreviations allowed, so `--model_dir` or pytest's own flags are read as the
SDK's options, and a value it does not like ends the process. It is therefore imported with an empty command line;
options are read by `serving.settings`, when a server is started.
"""

from __future__ import annotations

import sys

_argv = sys.argv
sys.argv = _argv[:1]
try:
    from kserve import ModelRepository, ModelServer
    from kserve.model import InferenceModel
    from kserve.predictor_config import PredictorConfig
    from kserve.protocol.dataplane import DataPlane
    from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
    from kserve.protocol.grpc import grpc_predict_v2_pb2_grpc as pb_grpc
    from kserve.protocol.rest.server import RESTServer
finally:
    sys.argv = _argv

__all__ = [
    "DataPlane",
    "InferenceModel",
    "ModelRepository",
    "ModelServer",
    "PredictorConfig",
    "RESTServer",
    "pb",
    "pb_grpc",
]
