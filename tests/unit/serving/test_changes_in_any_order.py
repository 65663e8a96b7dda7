"""Whatever is loaded, unloaded, written, borrowed and hung up on, in whatever order: what must hold always."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serving.call import Call
from serving.contract.repository import VersionFolder, read_layout
from serving.errors import DeadlineExceeded, ModelLoadFailed, ModelNotFound, ModelNotReady
from serving.metrics import Metrics
from serving.server.model import ServedVersion, State
from serving.server.repository import VisionRepository
from serving.v2 import InferRequest, InferResponse, ModelMetadata

NAME = "a"
GOOD, SLOW, FAILS, LINGERS = "good", "slow", "fails", "lingers"
PATIENCE_S = 20

VERSIONS = st.sampled_from(["1", "2", "3"])
Step = tuple[Any, ...]
STEPS = st.one_of(
    st.tuples(st.just("write"), VERSIONS, st.sampled_from([GOOD, SLOW, FAILS, LINGERS])),
    st.tuples(st.just("remove"), VERSIONS),
    st.tuples(
        st.sampled_from(["load", "load", "load in no time", "unload", "hang up", "borrow", "give back", "let go"])
    ),
    st.tuples(st.just("wait"), st.integers(0, 4)),
)

SETTINGS = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])


class Obedient(ServedVersion):
    """Opens at once, when the gate is open (`slow`), or never (`fails`); takes its time to end where that `lingers`."""

    def __init__(self, folder: VersionFolder, gate: asyncio.Event) -> None:
        super().__init__(folder)
        self.opened = 0
        self.closed = 0
        self.closings = 0
        self.is_abandoned = False
        self._gate = gate

    async def open(self, *, patient: bool = True) -> None:  # noqa: ARG002  # all are the same
        assert not self.opened
        self.opened += 1
        text = (self.folder.path / "model.yaml").read_text()
        try:
            if text.startswith((SLOW, LINGERS)):
                await self._gate.wait()
            if text.startswith(FAILS):
                raise ModelLoadFailed("it fails")
        finally:
            if text.startswith(LINGERS):
                await a_while()

    async def close(self) -> None:
        assert not self._borrowed or self.is_abandoned, "closed before the last request was answered"
        self.closings += 1
        await asyncio.sleep(0.001)
        self.closed += 1  # to the end

    def abandon(self) -> None:
        self.is_abandoned = True
        super().abandon()

    def metadata(self) -> ModelMetadata:
        raise NotImplementedError

    async def infer(self, request: InferRequest, call: Call) -> InferResponse:
        raise NotImplementedError

    async def predict(self, payload: Mapping[str, Any], call: Call) -> dict[str, Any]:
        raise NotImplementedError


async def a_while() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


class World:
    """A repository on the disk, the one that serves it, and all who ask something of it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.gate = asyncio.Event()
        self.made: list[Obedient] = []
        self.callers: list[asyncio.Task[None]] = []
        self.lent: list[ExitStack] = []
        self.writes = 0
        self.metrics = Metrics("test")
        self.live = VisionRepository(root, "m", self.make, self.metrics)

    def make(self, folder: VersionFolder) -> ServedVersion:
        self.made.append(Obedient(folder, self.gate))
        return self.made[-1]

    async def play(self, steps: Sequence[Step]) -> None:
        for name, *arguments in steps:
            if name == "wait":
                # Some of these are long enough for the thread that reads the disk.
                await asyncio.sleep(arguments[0] / 2000)
            else:
                getattr(self, name.replace(" ", "_"))(*arguments)
            self.check()

    def write(self, version: str, text: str) -> None:
        self.writes += 1
        folder = self.root / NAME / version
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "model.yaml").write_text(f"{text} {'x' * self.writes}")

    def remove(self, version: str) -> None:
        shutil.rmtree(self.root / NAME / version, ignore_errors=True)

    def load(self) -> None:
        self.callers.append(asyncio.create_task(self.live.load(NAME)))

    def load_in_no_time(self) -> None:
        self.callers.append(asyncio.create_task(self.live.load(NAME, 0)))

    def unload(self) -> None:
        self.callers.append(asyncio.create_task(self.live.unload(NAME)))

    def hang_up(self) -> None:
        if self.callers:
            self.callers[-1].cancel()

    def borrow(self) -> None:
        for each in self.served:
            if each.state is State.READY:
                self.lent.append(ExitStack())
                self.lent[-1].enter_context(each.borrowed())
                return

    def give_back(self) -> None:
        if self.lent:
            self.lent.pop().close()

    def let_go(self) -> None:
        self.gate.set()
        self.gate = asyncio.Event()

    @property
    def served(self) -> list[Obedient]:
        models = self.live.all()
        return [each for model in models for each in model.versions if isinstance(each, Obedient)]

    def check(self) -> None:
        """What holds at any time."""
        paths = [each.folder.path for each in self.served]
        assert len(set(paths)) == len(paths), "two versions of one folder are served"
        assert not any(each.closings for each in self.served if each.state is State.READY), "what is closed is served"

    def check_metric(self) -> None:
        """What is served, and nothing else, is what the metric tells."""
        told = {
            sample.labels["version"]: sample.value
            for metric in self.metrics.model_ready.collect()
            for sample in metric.samples
        }
        assert told == {each.version: each.state is State.READY for each in self.served}

    def check_ended(self) -> None:
        """What was opened, or half opened, is closed once; who asked has an answer."""
        assert all(each.closings == each.closed == each.opened for each in self.made)
        for each in self.callers:
            if not each.cancelled():
                assert isinstance(
                    each.exception(), ModelLoadFailed | ModelNotFound | ModelNotReady | DeadlineExceeded | None
                )

    async def until(self, condition: Callable[[], bool]) -> None:
        """Let everything go on until all who asked have an answer, and the condition holds."""
        async with asyncio.timeout(PATIENCE_S):
            while not (all(each.done() for each in self.callers) and condition()):
                self.let_go()
                await asyncio.sleep(0.001)
                self.check()

    def serves_what_lies_there(self) -> bool:
        """Whether the files of the disk are served as they are now, but for those that fail."""
        states = {each.folder: each.state for each in self.served}
        good, bad = set[VersionFolder](), set[VersionFolder]()
        for folder in read_layout(self.root, "m")[NAME]:
            fails = (folder.path / "model.yaml").read_text().startswith(FAILS)
            (bad if fails else good).add(folder)
        is_exact = states.keys() == good or bool(bad)
        return is_exact and all(states.get(each) is State.READY for each in good)

    def has_unloaded(self) -> bool:
        return not self.live.all() and all(each.closed == each.opened for each in self.made)


async def begun(root: Path) -> World:
    """A world whose server has just begun to open version 1, at once, and version 2, slowly."""
    world = World(root)
    world.write("1", GOOD)
    world.write("2", SLOW)
    await world.live.register()
    world.live.open()
    return world


@SETTINGS
@given(steps=st.lists(STEPS, max_size=25), last=st.sampled_from(["load", "unload"]), hangs_up=st.booleans())
def test_what_was_wanted_last_is_what_is_served(steps: Sequence[Step], last: str, *, hangs_up: bool) -> None:
    async def live(root: Path) -> None:
        world = await begun(root)
        await world.play([*steps, ("write", "1", GOOD), (last,)])
        if hangs_up:
            await asyncio.sleep(0)  # it has asked
            world.hang_up()
        while world.lent:
            world.give_back()
        await world.until(world.serves_what_lies_there if last == "load" else world.has_unloaded)
        assert not world.live.starting
        world.check_metric()
        await world.live.close()
        world.check_ended()

    with tempfile.TemporaryDirectory() as root:
        asyncio.run(live(Path(root)))


@SETTINGS
@given(steps=st.lists(STEPS, max_size=25))
def test_a_server_that_stops_at_any_time_answers_all_and_closes_everything_once(steps: Sequence[Step]) -> None:
    async def live(root: Path) -> None:
        world = await begun(root)
        await world.play(steps)
        async with asyncio.timeout(PATIENCE_S):
            await world.live.close()
        await world.until(lambda: True)
        world.check_ended()

    with tempfile.TemporaryDirectory() as root:
        asyncio.run(live(Path(root)))
