from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands write into the folder that they are called in, where nothing else is said."""
    monkeypatch.chdir(tmp_path_factory.mktemp("called-here"))
