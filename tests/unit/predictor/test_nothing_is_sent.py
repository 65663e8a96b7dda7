"""Neither engine writes down or sends what it runs: both would, unless they are kept from it before their import."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .graphs import classifier, directory

LOAD = """
import sys
from pathlib import Path
from predictor.loading import load
from predictor.settings import PredictorSettings
load(PredictorSettings(model_dir=Path(sys.argv[1]), engine=sys.argv[2]))
"""


def test_who_loads_no_engine_has_its_environment_as_it_was() -> None:
    program = "import os, predictor.graph; print('ORT_DISABLE_TELEMETRY' in os.environ)"

    done = subprocess.run([sys.executable, "-c", program], check=True, env={}, capture_output=True, timeout=120)

    assert done.stdout.split() == [b"False"]


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_an_engine_leaves_nothing_in_the_home_directory(tmp_path: Path, engine: str) -> None:
    home, model_dir = tmp_path / "home", tmp_path / "model"
    home.mkdir()
    model_dir.mkdir()
    environment = {"PATH": os.environ["PATH"], "HOME": str(home)}

    command = [sys.executable, "-c", LOAD, str(directory(model_dir, classifier())), engine]
    subprocess.run(command, check=True, env=environment, timeout=120)

    assert list(home.rglob("*")) == []
