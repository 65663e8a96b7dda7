from __future__ import annotations

import re
from collections import Counter
from xml.etree import ElementTree as ET

import pytest

from bench.flame import HEAD, OTHERS, OWNERS, WIDTH, draw_flame_graph, owner_of

STACKS = Counter(
    {
        ("run (threading.py)", "run (predictor/engines/session.py)", "run (onnxruntime/capi/session.py)"): 60,
        ("run (threading.py)", "labour (serving/threads.py)"): 30,
        ("run (threading.py)", "resize (PIL/Image.py)", "<lambda> & co (numpy/core.py)"): 10,
    }
)
SAMPLED = "looked at 250 times a second"


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(svg).iter() if element.tag.endswith("}text")]  # noqa: S314


def test_it_says_what_is_drawn_how_it_is_read_and_how_it_was_sampled() -> None:
    said = texts(draw_flame_graph(STACKS, "The predictor", SAMPLED))

    assert said[0] == "The predictor: 100 samples"
    assert "as wide as the share of samples" in said[1]
    assert said[2] == SAMPLED


def test_the_legend_says_whose_code_was_on_top_how_often() -> None:
    said = texts(draw_flame_graph(STACKS, "", ""))

    assert "ours: 30.0% on top" in said
    assert "ONNX Runtime: 60.0% on top" in said
    assert "NumPy: 10.0% on top" in said
    assert "the KServe SDK: 0.0% on top" in said
    assert f"{OTHERS.name}: 0.0% on top" in said


def test_a_box_is_as_wide_as_its_share_and_has_its_owners_color() -> None:
    svg = draw_flame_graph(STACKS, "", "")

    labour = re.search(
        r'<title>labour .*?: 30.0%</title><rect x="[\d.]+" y="(\d+)" width="([\d.]+)".*?fill="(.*?)"', svg
    )
    assert labour is not None
    assert int(labour[1]) >= HEAD
    assert float(labour[2]) == pytest.approx(0.3 * WIDTH)
    assert labour[3] == OWNERS[0].color


@pytest.mark.parametrize(
    ("frame", "name"),
    [
        ("predict (transformer/routes.py)", "ours"),
        ("predict (kserve/model.py)", "the KServe SDK"),
        ("mean (numpy/_core/fromnumeric.py)", "NumPy"),
        ("open (PIL/Image.py)", "Pillow"),
        ("run (uvicorn/server.py)", OTHERS.name),
        ("serving/ (asyncio/runners.py)", OTHERS.name),
        ("<module>", OTHERS.name),
    ],
)
def test_a_functions_file_tells_whose_it_is(frame: str, name: str) -> None:
    assert owner_of(frame).name == name


def test_the_legend_is_within_the_picture() -> None:
    svg = draw_flame_graph(STACKS, "", "")
    lefts = [float(x) for x in re.findall(r'<text x="([\d.]+)" y="81">', svg)]

    assert len(lefts) == len(OWNERS) + 1
    assert lefts == sorted(lefts)
    assert lefts[-1] < WIDTH - 200
