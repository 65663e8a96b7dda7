from __future__ import annotations

import asyncio
import traceback
from pathlib import Path

import pytest

from serving.contract.repository import VersionFolder
from serving.errors import ContractInvalid, ModelNotReady, VersionNotFound
from serving.server.model import ServedModel, ServedVersion, State

from .idle import Idle


def version(number: str | None, state: State = State.READY) -> ServedVersion:
    made = Idle(VersionFolder("m", Path("m") / (number or ""), number))
    made.state = state
    if state is State.UNAVAILABLE:
        made.failure = ContractInvalid(f"{number} is broken")
    return made


def model(*versions: ServedVersion) -> ServedModel:
    return ServedModel("m", versions)


def test_a_failure_that_is_told_often_does_not_grow() -> None:
    failed = version("1", State.UNAVAILABLE)
    lengths = set()
    for _ in range(20):
        with pytest.raises(ContractInvalid) as told:
            failed.check()
        lengths.add(len(traceback.extract_tb(told.value.__traceback__)))
    assert len(lengths) == 1


def test_a_model_whose_version_is_not_known_yet_says_so_whatever_version_is_asked() -> None:
    with pytest.raises(ModelNotReady, match="is loading"):
        model(version(None, State.LOADING)).servable("1")


def test_a_version_that_is_not_served_is_told_with_those_that_are() -> None:
    with pytest.raises(VersionNotFound, match=r"it serves '3', '10'$"):
        model(version("10"), version("3"), version("4", State.UNAVAILABLE)).servable("1")


@pytest.mark.parametrize("asked", ["01", "-1", "1e3", "+1", " 1", "1 ", "\u0661", "1.0", "", "1/1", "9" * 10_000])
def test_a_version_is_found_by_its_very_name(asked: str) -> None:
    with pytest.raises(VersionNotFound) as told:
        model(version("1"), version("1000")).servable(asked)
    assert len(str(told.value)) < 200


def test_the_largest_number_that_is_ready_is_the_default() -> None:
    assert model(version("2"), version("10"), version("9")).latest.version == "10"


def test_a_larger_version_that_failed_is_passed_over() -> None:
    served = model(version("1"), version("2", State.UNAVAILABLE))

    assert served.servable(None).version == "1"
    with pytest.raises(ContractInvalid, match="2 is broken"):
        served.servable("2")


def test_a_larger_version_that_is_still_loading_is_waited_for() -> None:
    with pytest.raises(ModelNotReady, match="is loading"):
        model(version("1"), version("2", State.LOADING)).servable(None)


def test_with_no_version_ready_the_largest_one_says_why() -> None:
    with pytest.raises(ContractInvalid, match="2 is broken"):
        model(version("1", State.UNAVAILABLE), version("2", State.UNAVAILABLE)).servable(None)


def test_metadata_lists_the_versions_that_can_be_asked() -> None:
    served = model(version("10"), version("2"), version("3", State.UNAVAILABLE))

    assert served.metadata("2").versions == ("2", "10")


async def test_a_version_is_idle_when_all_who_borrowed_it_gave_it_back() -> None:
    lent = version("1")
    await lent.until_idle()
    with lent.borrowed():
        with lent.borrowed():
            pass
        waiting = asyncio.create_task(lent.until_idle())
        await asyncio.sleep(0)
        assert not waiting.done()
    await waiting


async def test_the_sdks_own_way_to_a_model_is_closed() -> None:
    with pytest.raises(NotImplementedError):
        await model(version("1"))({}, headers={})
