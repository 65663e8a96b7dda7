"""The one door to the KServe SDK: nothing else imports `kserve`.

Importing the SDK parses `sys.argv` with abbreviations allowed, so `--model_dir` or pytest's own flags are read as the
SDK's options, and a value it does not like ends the process. It is therefore imported with an empty command line;
options are read by `serving.settings`, when a server is started.

The SDK also imports pandas, for two functions that make data frames of tensors: 35 MB in every process for what nothing
here calls. It is given a stand-in instead; whoever imports pandas afterwards gets pandas.
"""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

_pandas = ModuleType("pandas", "What the SDK's annotations name.")
_pandas.DataFrame = type("DataFrame", (), {})  # type: ignore[attr-defined]  # a module is made by hand
_pandas.__spec__ = ModuleSpec("pandas", None)  # without one, `find_spec` raises an error at whoever asks for pandas
_is_stand_in = sys.modules.setdefault("pandas", _pandas) is _pandas

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
    if _is_stand_in:
        del sys.modules["pandas"]

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
