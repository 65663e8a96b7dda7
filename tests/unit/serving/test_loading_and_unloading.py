"""The repository's changes, with versions that open as their `model.yaml` says."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from serving.call import Call
from serving.contract.repository import VersionFolder
from serving.errors import DeadlineExceeded, ModelLoadFailed, ModelNotFound, ModelNotReady
from serving.metrics import Metrics
from serving.server.control import ModelControl
from serving.server.dataplane import VisionDataPlane
from serving.server.model import ServedVersion, State
from serving.server.repository import VisionRepository
from serving.settings import ServerSettings

from .idle import Idle

GOOD, FAILS, WAITS, LINGERS, BUG = "good", "fails", "waits", "lingers", "bug"


def write(root: Path, version: str, text: str = GOOD) -> Path:
    folder = root / version
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.yaml").write_text(text)
    return folder


class Served:
    """A repository on the disk, and the one that serves it."""

    def __init__(self, root: Path, metrics: Metrics) -> None:
        self.root = root
        self.made: list[Idle] = []
        self.metrics = metrics
        self.live = VisionRepository(root, "m", self.make, metrics)
        self.plane = VisionDataPlane(self.live)

    def make(self, folder: VersionFolder) -> ServedVersion:
        self.made.append(Idle(folder))
        return self.made[-1]

    async def open(self) -> None:
        await self.live.register()
        await asyncio.wait(self.live.open())

    def version(self, number: str | None = None, name: str = "a") -> Idle:
        found = self.live.find(name).servable(number)
        assert isinstance(found, Idle)
        return found

    def ready(self, name: str = "a") -> tuple[str, ...]:
        return self.live.find(name).ready_versions

    async def states(self) -> list[tuple[str, str, str]]:
        return [(each.name, each.version, each.state) for each in await self.live.index()]

    def gauge(self, version: str, name: str = "a") -> float | None:
        labels = {"model": name, "version": version}
        return self.metrics.registry.get_sample_value("kserve_vision_model_ready", labels)


@pytest_asyncio.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    """Model `a` with versions 1 and 2, and model `b` with version 1, all open."""
    for version in ("a/1", "a/2", "b/1"):
        write(tmp_path, version)
    served = Served(tmp_path, Metrics("test"))
    await served.open()
    yield served
    await served.live.close()


async def soon(condition: Callable[[], bool]) -> None:
    """Let other tasks, and the thread that reads the disk, go on until the condition holds."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  # a condition of tasks that tell nobody
            await asyncio.sleep(0.001)


async def test_everything_on_the_disk_is_opened(served: Served) -> None:
    assert await served.states() == [("a", "1", "READY"), ("a", "2", "READY"), ("b", "1", "READY")]
    assert served.version().version == "2"


@pytest.mark.parametrize("text", [FAILS, BUG])
async def test_one_failure_leaves_the_others_and_is_told(tmp_path: Path, text: str) -> None:
    write(tmp_path, "a/1")
    write(tmp_path, "a/2", text)
    write(tmp_path, "b/1", text)
    served = Served(tmp_path, Metrics("test"))
    await served.open()

    assert served.ready() == ("1",)
    assert (served.gauge("1"), served.gauge("2"), served.gauge("1", "b")) == (1, 0, 0)
    with pytest.raises(ModelLoadFailed):
        served.version("2")
    with pytest.raises(ModelLoadFailed):
        served.version(name="b")
    await served.plane.check_ready()
    assert [each.closed for each in served.made if each.failure] == [1, 1]
    await served.live.close()


async def test_with_no_model_ready_the_server_tells_the_reason_of_each(tmp_path: Path) -> None:
    write(tmp_path, "a/1", FAILS)
    write(tmp_path, "b/1", FAILS)
    served = Served(tmp_path, Metrics("test"))
    await served.open()

    with pytest.raises(ModelLoadFailed, match=r"none of 2 models can be asked: 'a': .*a/1 fails; 'b': .*b/1 fails"):
        await served.plane.check_ready()


async def test_the_server_is_not_ready_while_one_of_its_models_is_loading(tmp_path: Path) -> None:
    write(tmp_path, "a/1")
    write(tmp_path, "b/1", WAITS)
    served = Served(tmp_path, Metrics("test"))
    await served.live.register()
    served.live.open()
    await soon(lambda: served.ready() == ("1",))

    with pytest.raises(ModelNotReady, match="'b' is loading"):
        await served.plane.check_ready()
    await served.live.close()


async def test_a_model_that_is_loaded_later_does_not_take_the_others_traffic_away(served: Served) -> None:
    write(served.root, "c/1", WAITS)
    with pytest.raises(DeadlineExceeded):
        await served.live.load("c", timeout_s=0.01)
    await soon(lambda: "c" in served.plane.names())

    await served.plane.check_ready()
    assert served.plane.loaded
    with pytest.raises(ModelNotReady, match="'c' is loading"):
        await served.plane.check_model_ready("c", None)


async def test_a_load_adds_what_is_new_and_lets_the_rest_be(served: Served) -> None:
    before = served.version("1")
    write(served.root, "a/3")

    await served.live.load("a")

    assert served.ready() == ("1", "2", "3")
    assert served.version().version == "3"
    assert served.version("1") is before
    assert not any(each.closed for each in served.made)


async def test_a_load_opens_what_was_changed_before_it_closes_what_was_served(served: Served) -> None:
    before = served.version("2")
    write(served.root, "a/2", f"{WAITS} once")
    loading = asyncio.create_task(served.live.load("a"))
    await soon(lambda: bool(served.live.find("a").coming))
    assert served.version("2") is before
    assert ("a", "2", "LOADING") in await served.states()

    write(served.root, "a/2", f"{GOOD} again")
    await served.live.load("a")

    with pytest.raises(ModelNotReady, match="another load or unload"):
        await loading
    assert served.version("2") is not before
    await soon(lambda: before.closed == 1)


async def test_a_load_closes_what_is_gone_from_the_disk(served: Served) -> None:
    gone = served.version("1")
    shutil.rmtree(served.root / "a" / "1")

    await served.live.load("a")

    assert served.ready() == ("2",)
    await soon(lambda: gone.closed == 1)
    assert served.gauge("1") is None


async def test_a_load_that_fails_takes_nothing_away_and_tells_the_reason(served: Served) -> None:
    write(served.root, "a/2", FAILS)
    write(served.root, "a/3", FAILS)
    write(served.root, "a/4")
    shutil.rmtree(served.root / "a" / "1")

    with pytest.raises(ModelLoadFailed, match=r"a/2 fails; .*a/3 fails"):
        await served.live.load("a")

    assert served.ready() == ("1", "2", "4")
    assert ("a", "3", "UNAVAILABLE") in await served.states()


async def test_a_load_tries_again_what_failed(served: Served) -> None:
    write(served.root, "a/3", FAILS)
    with pytest.raises(ModelLoadFailed):
        await served.live.load("a")

    write(served.root, "a/3")
    await served.live.load("a")

    assert served.version().version == "3"


async def test_a_load_of_a_new_name_serves_it_and_of_no_name_tells_the_names(served: Served) -> None:
    write(served.root, "c/1")
    await served.live.load("c")

    assert served.ready("c") == ("1",)
    with pytest.raises(ModelNotFound, match="it has 'a', 'b', 'c'"):
        await served.live.load("d")


@pytest.mark.parametrize("name", ["", ".", "..", "../a", "a/1", "/", "a\x00", "x" * 100_000, "A"])
async def test_a_name_is_looked_up_and_never_taken_for_a_path(served: Served, name: str) -> None:
    for change in (served.live.load, served.live.unload):
        with pytest.raises(ModelNotFound) as told:
            await change(name)
        assert len(str(told.value)) < 300


async def test_the_same_load_asked_for_twice_is_one(served: Served) -> None:
    write(served.root, "a/3")
    made = len(served.made)

    await asyncio.gather(served.live.load("a"), served.live.load("a"))

    assert len(served.made) == made + 1


async def test_a_load_goes_on_when_its_caller_waits_no_longer(served: Served) -> None:
    write(served.root, "a/3", WAITS)
    with pytest.raises(DeadlineExceeded):
        await served.live.load("a", timeout_s=0.01)

    await soon(lambda: bool(served.live.find("a").coming))
    assert ("a", "3", "LOADING") in await served.states()
    assert served.version().version == "2"


async def test_over_the_network_a_load_is_answered_within_the_settings_time_and_goes_on(served: Served) -> None:
    write(served.root, "a/3", WAITS)
    control = ModelControl(served.live, ServerSettings(model_control=True, load_timeout_seconds=0.01))

    with pytest.raises(DeadlineExceeded, match="still being loaded, which goes on"):
        await control.load("a", Call("an-id", "test"))

    await soon(lambda: bool(served.live.find("a").coming))
    assert ("a", "3", "LOADING") in await served.states()


@pytest.mark.parametrize("unloads", [False, True])
async def test_a_change_whose_caller_hangs_up_while_it_ends_the_one_before_goes_on(
    served: Served, *, unloads: bool
) -> None:
    write(served.root, "c/1", LINGERS)
    before = asyncio.create_task(served.live.load("c"))
    await soon(lambda: served.made[-1].folder.name == "c" and served.made[-1].is_opening)
    lingering = served.made[-1]
    write(served.root, "c/1", f"{GOOD} now")
    asked = asyncio.create_task(served.live.unload("c") if unloads else served.live.load("c"))
    await soon(lambda: lingering.is_ending)

    asked.cancel()
    await asyncio.wait([asked])
    lingering.may_end.set()

    with pytest.raises(ModelNotReady, match="another load or unload"):
        await before
    await soon(lambda: ("c" not in served.plane.names()) if unloads else served.ready("c") == ("1",))


async def test_an_unload_ends_a_load_that_is_under_way(served: Served) -> None:
    write(served.root, "a/3", WAITS)
    loading = asyncio.create_task(served.live.load("a"))
    await soon(lambda: bool(served.live.find("a").coming))

    await served.live.unload("a")

    with pytest.raises(ModelNotReady):
        await loading
    assert served.made[-1].closed == 1
    with pytest.raises(ModelNotFound):
        served.version()


async def test_what_was_ready_of_a_load_that_is_ended_is_closed(served: Served) -> None:
    write(served.root, "a/3")
    write(served.root, "a/4", WAITS)
    loading = asyncio.create_task(served.live.load("a"))
    await soon(lambda: any(each.state is State.READY for each in served.live.find("a").coming))

    shutil.rmtree(served.root / "a" / "3")
    shutil.rmtree(served.root / "a" / "4")
    await served.live.load("a")

    with pytest.raises(ModelNotReady):
        await loading
    await soon(lambda: [each.closed for each in served.made[3:]] == [1, 1])
    assert served.ready() == ("1", "2")


async def test_an_unload_does_not_wait_for_another_models_requests(served: Served) -> None:
    with served.version("1").borrowed():
        slow = asyncio.create_task(served.live.unload("a"))
        await served.live.unload("b")
        assert not slow.done()
    await slow


async def test_an_unload_waits_for_the_requests_that_were_begun(served: Served) -> None:
    one, other = served.version("1"), served.version("2")
    with one.borrowed():
        unloading = asyncio.create_task(served.live.unload("a"))
        await soon(lambda: other.closed == 1)
        assert not unloading.done()
        assert ("a", "1", "UNLOADING") in await served.states()
        with pytest.raises(ModelNotFound):
            served.version("1")
    await unloading

    assert await served.states() == [("a", "1", "UNAVAILABLE"), ("a", "2", "UNAVAILABLE"), ("b", "1", "READY")]
    assert served.ready("b") == ("1",)


async def test_what_was_unloaded_can_be_loaded_again(served: Served) -> None:
    await served.live.unload("a")
    await served.live.load("a")

    assert served.ready() == ("1", "2")


async def test_without_any_model_the_server_is_not_ready(served: Served) -> None:
    await served.live.unload("a")
    await served.plane.check_ready()
    await served.live.unload("b")

    with pytest.raises(ModelNotReady, match="no model is loaded"):
        await served.plane.check_ready()


async def test_a_load_while_the_server_runs_is_impatient_and_the_first_one_is_not(served: Served) -> None:
    write(served.root, "a/3")
    await served.live.load("a")

    assert [each.patient for each in served.made] == [True, True, True, False]


async def test_a_server_that_stops_begins_no_load(served: Served) -> None:
    write(served.root, "a/3")
    await served.live.end_changes()

    with pytest.raises(ModelNotReady, match="shutting down"):
        await served.live.load("a")

    assert served.ready() == ("1", "2")


async def test_a_server_that_stops_closes_everything_once(tmp_path: Path) -> None:
    write(tmp_path, "a/1")
    write(tmp_path, "b/1")
    write(tmp_path, "c/1", WAITS)
    served = Served(tmp_path, Metrics("test"))
    await served.live.register()
    served.live.open()
    await soon(lambda: bool(served.ready("a") and served.ready("b")))
    with served.version(name="a").borrowed():
        unloading = asyncio.create_task(served.live.unload("a"))
        await soon(lambda: any(each.state is State.UNLOADING for each in served.made))
        await served.live.close()
    await unloading

    assert [each.closed for each in served.made] == [1, 1, 1]


async def test_an_unload_right_behind_a_load_is_what_counts(served: Served) -> None:
    write(served.root, "c/1")
    loading = asyncio.create_task(served.live.load("c"))
    await asyncio.sleep(0)  # it has asked, and the disk is not read yet

    await served.live.unload("c")

    with pytest.raises(ModelNotReady, match="another load or unload"):
        await loading
    assert "c" not in served.plane.names()


async def test_a_load_of_the_start_that_is_ended_leaves_its_place_to_the_next(tmp_path: Path) -> None:
    write(tmp_path, "a/1")
    write(tmp_path, "a/2", WAITS)
    served = Served(tmp_path, Metrics("test"))
    await served.live.register()
    served.live.open()
    await soon(lambda: served.ready() == ("1",))
    first = served.version("1")
    write(tmp_path, "a/2", f"{WAITS} again")

    with pytest.raises(DeadlineExceeded):
        await served.live.load("a", timeout_s=0)
    await soon(lambda: bool(served.live.find("a").coming))

    assert await served.states() == [("a", "1", "READY"), ("a", "2", "LOADING")]
    assert (served.gauge("1"), served.gauge("2")) == (1, 0)
    assert served.version() is first
    await served.plane.check_ready()
    await served.live.close()


async def test_a_load_that_is_asked_for_while_the_server_stops_is_answered(served: Served) -> None:
    loading = asyncio.create_task(served.live.load("a"))
    await asyncio.sleep(0)  # it has asked, and nobody has begun yet
    await served.live.end_changes()

    with pytest.raises(ModelNotReady, match="shutting down"):
        await loading


async def test_names_that_there_are_not_leave_nothing_behind(served: Served) -> None:
    tasks = len(asyncio.all_tasks())
    for number in range(20):
        with pytest.raises(ModelNotFound):
            await served.live.load(f"x{number}")

    assert len(asyncio.all_tasks()) == tasks


async def test_a_version_that_cannot_be_closed_is_gone_all_the_same(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def close() -> None:
        raise OSError("stuck")

    monkeypatch.setattr(served.version("1"), "close", close)

    await served.live.unload("a")

    assert await served.states() == [("a", "1", "UNAVAILABLE"), ("a", "2", "UNAVAILABLE"), ("b", "1", "READY")]


async def test_a_disk_that_cannot_be_read_fails_the_load_and_not_the_next_one(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stuck(*_: object) -> None:
        raise OSError("Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr("serving.server.repository.read_layout", stuck)
        with pytest.raises(ModelLoadFailed, match="OSError before the load began: Input/output error"):
            await served.live.load("a")

    await served.live.load("a")

    assert served.ready() == ("1", "2")
