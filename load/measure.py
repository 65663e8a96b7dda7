"""One measurement, from the plan to what was measured."""

from __future__ import annotations

import asyncio

from load.answer import Clients
from load.closed_loop import run_closed
from load.grpc import GrpcClients
from load.health import HealthProbe
from load.http import HttpClients
from load.measured import Measured, Sending
from load.open_loop import run_open
from load.plan import Closed, Plan
from load.process import used_between
from load.readings import Reading
from load.sending import Sender
from load.tally import Tally


async def measure(plan: Plan, tally: Tally) -> Measured:
    """Follow a plan; what is noted in `tally` by the time that it is interrupted is reported.

    Raises:
        Refused: an answer was not OK, and the plan is to stop then.
        ProcessGone: a process whose CPU time is to be read is not there.
        OSError: a file of requests cannot be read.
    """
    clients = HttpClients(plan.server) if plan.server.protocol == "http" else GrpcClients(plan.server)
    probes = {name: HealthProbe(health) for name, health in plan.health.items()}
    probing = [asyncio.create_task(probe.run(tally)) for probe in probes.values()]
    try:
        before, after = await _follow(plan, clients, tally)
    except ExceptionGroup as errors:
        raise _first(errors) from errors
    finally:
        for task in probing:
            task.cancel()
        await asyncio.gather(*probing, return_exceptions=True)
        await clients.close()
    return measured_by(plan, tally, before, after).model_copy(
        update={
            "probed": {name: probe.probed() for name, probe in probes.items()},
            "reconnected": clients.reconnected if isinstance(clients, HttpClients) else 0,
        }
    )


async def _follow(plan: Plan, clients: Clients, tally: Tally) -> tuple[Reading, Reading]:
    sender = Sender(plan, clients)
    if isinstance(plan.load, Closed):
        return await run_closed(plan, plan.load, sender, tally)
    return await run_open(plan, plan.load, sender, tally)


def measured_by(plan: Plan, tally: Tally, before: Reading, after: Reading) -> Measured:
    """Return what a tally holds, and the difference of two readings."""
    count = len(tally.ok_ms) or 1
    punctuality = tally.punctuality
    return Measured(
        seconds=after.at - before.at,
        latencies_ms=tuple(tally.ok_ms),
        cpu_seconds=used_between(before.cpu_seconds, after.cpu_seconds),
        refused_ms=tuple(tally.refused_ms),
        in_window=tally.answered_in_window,
        kinds=dict(tally.kinds),
        said=tally.said,
        retry_after=tally.retry_after,
        sending=None
        if isinstance(plan.load, Closed)
        else Sending(
            due=punctuality.due,
            late_ms=tuple(punctuality.late_ms),
            crowded=punctuality.crowded,
            unsent=punctuality.unsent,
        ),
        peak_bytes=dict(after.peak_bytes),
        interrupted=tally.interrupted.is_set(),
        sent_bytes=tally.sent_bytes / count,
        answer_bytes=tally.answer_bytes / count,
    )


def _first(errors: ExceptionGroup[Exception]) -> Exception:
    error = errors.exceptions[0]
    return _first(error) if isinstance(error, ExceptionGroup) else error
