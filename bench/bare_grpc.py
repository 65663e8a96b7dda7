"""The least that a gRPC server in Python can do: grpc.aio around a bare session, with nothing of ours in between.

`python -m bench.bare_grpc MODEL_DIR` prints its port, and answers V2's ModelInfer until it is ended. What it costs over
the session alone is the price of gRPC's library, and the floor under the predictor's figure.
"""

from __future__ import annotations

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import grpc
import numpy as np
import uvloop

from bench.limit import Runner, open_runner
from load.grpc import OPTIONS
from serving.contract import load_model_directory
from serving.cpu import cpu_limit
from serving.sdk import pb

SERVICE: Final = "inference.GRPCInferenceService"


def answer(runner: Runner, raw: bytes) -> bytes:
    """Run the model on a message's one UINT8 tensor, and return the message of its outputs."""
    request: Any = pb.ModelInferRequest.FromString(raw)
    pixels = np.frombuffer(request.raw_input_contents[0], np.uint8).reshape(tuple(request.inputs[0].shape))
    response: Any = pb.ModelInferResponse(model_name=request.model_name, id=request.id)
    for name, array in runner.run(pixels).items():
        response.outputs.add(name=name, datatype="FP32", shape=array.shape)
        response.raw_output_contents.append(array.tobytes())
    encoded: bytes = response.SerializeToString()
    return encoded


async def serve(model_dir: Path) -> None:
    """Serve on a free port, with a caller for each CPU and one thread for each run."""
    runner = open_runner(load_model_directory(model_dir), threads=1)
    pool = ThreadPoolExecutor(cpu_limit())

    async def infer(raw: bytes, _context: object) -> bytes:
        return await asyncio.get_running_loop().run_in_executor(pool, answer, runner, raw)

    server = grpc.aio.server(options=OPTIONS)
    handler = grpc.method_handlers_generic_handler(SERVICE, {"ModelInfer": grpc.unary_unary_rpc_method_handler(infer)})
    server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    uvloop.run(serve(Path(sys.argv[1])))
