"""`python -m bench.load`: plans in, measurements out, one JSON object a line."""

from __future__ import annotations

import asyncio
import sys

import grpc
import uvloop

from bench.load.grpc import GrpcClients
from bench.load.http import BadAnswer, HttpClients
from bench.load.loop import Clients, measure
from bench.load.plan import Plan
from bench.measured import Measured


async def follow(plan: Plan) -> Measured:
    """Follow a plan with the clients of its protocol."""
    clients: Clients
    clients = HttpClients(plan.host, plan.port) if plan.protocol == "http" else GrpcClients(plan.host, plan.port)
    return await measure(plan, clients)


def main() -> None:
    """Follow the plans on standard input until it ends."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        for line in sys.stdin:
            plan = Plan.model_validate_json(line)
            try:
                measured = runner.run(follow(plan))
            except (BadAnswer, OSError, grpc.aio.AioRpcError) as error:
                sys.exit(f"bench.load: {plan.clients} clients of port {plan.port}: {error}")
            sys.stdout.write(measured.model_dump_json() + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
