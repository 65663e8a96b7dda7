"""The page for newcomers: every command on it is run as it stands, but for the ports, in a folder with real models as
their exporters leave them, and prints what the page shows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from typer.main import get_command

from cli.main import app
from serving.decoders import DECODERS
from tests.docs import exported
from tests.docs.page import Reader, missing, sections
from tests.photos import photo

PAGE = Path(__file__).parents[2] / "docs" / "bring-your-own-model.md"
SECTIONS = sections(PAGE)
RUN = {heading: blocks for heading, blocks in SECTIONS.items() if any(each.language == "console" for each in blocks)}

FOLDERS = {
    "Ultralytics": ["yolo"],
    "timm and torchvision": ["mobilenetv2", "bare"],
    "Hugging Face": ["rtdetr"],
    "TensorFlow and Keras": ["keras"],
    "PaddlePaddle": ["foreground"],
    "model.yaml by hand": ["bare", "mobilenetv2"],
    "Several models and versions": ["yolo", "mobilenetv2"],
}
"""What the reader of each section has."""
ASKED = (
    "kserve-vision inspect bare --labels mobilenetv2/imagenet_classes.txt --try",
    "kserve-vision inspect keras --try",
)
"""Beginnings of the commands that end with a question, which is exit code 3."""
DRAWN = {
    "Ultralytics": ["drawn/picture.jpg", "boxes.jpg"],
    "timm and torchvision": ["tried/picture.jpg"],
    "Hugging Face": ["drawn/picture.jpg"],
    "PaddlePaddle": ["drawn/picture.jpg", "masks.jpg"],
}


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    photo("coffee").save(tmp_path / "picture.jpg", quality=95)
    reading = Reader(tmp_path)
    yield reading
    reading.stop()


def test_every_section_with_commands_is_read() -> None:
    assert set(RUN) == set(FOLDERS)


@pytest.mark.parametrize("heading", FOLDERS)
def test_the_commands_of_a_section_print_what_it_shows(heading: str, reader: Reader, tmp_path: Path) -> None:
    for name in FOLDERS[heading]:
        exported.write(name, tmp_path)
    since_shown = False
    for block in RUN[heading]:
        if block.language in ("console", "python"):
            reader.printed = reader.printed if not since_shown else ""
            since_shown = False
            reader.run(block)
            expected = 3 if block.text.startswith(ASKED) else 0
            assert set(reader.codes) <= {expected}, reader.printed
            reader.codes.clear()
        elif block.language:
            since_shown = True
            assert not list(missing(block, reader.printed)), reader.printed
    for name in DRAWN.get(heading, ()):
        with Image.open(tmp_path / name) as drawn, Image.open(tmp_path / "picture.jpg") as picture:
            assert drawn.width == picture.width
            assert drawn.height >= picture.height
            assert drawn.tobytes() != picture.tobytes()


@pytest.mark.parametrize(
    ("heading", "text"), [(heading, each.text) for heading in RUN for each in RUN[heading] if not each.language]
)
def test_a_folder_is_listed_as_its_exporter_leaves_it(heading: str, text: str, tmp_path: Path) -> None:
    folder, *files = text.split()
    name = folder.removesuffix("/")
    assert name in FOLDERS[heading]
    exported.write(name, tmp_path)
    assert {path.name for path in (tmp_path / name).iterdir()} == set(files)


def section_text(heading: str) -> str:
    return PAGE.read_text("utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]


def test_every_decoder_is_in_the_table() -> None:
    table = section_text("Which decoder is mine?")
    task = ""
    listed: dict[str, list[str]] = {}
    for name, bold in re.findall(r"^\| (?:`(\w+)`|\*\*(\w+)\*\*) \|", table, re.MULTILINE):
        task = bold or task
        listed.setdefault(task, []).extend([name] if name else [])
    assert {task: set(names) for task, names in listed.items()} == {task: set(DECODERS[task]) for task in DECODERS}


def test_every_key_in_the_table_is_a_key_of_the_decoder() -> None:
    table = section_text("Which decoder is mine?")
    fields = {name: decoder.rules_type.model_fields for names in DECODERS.values() for name, decoder in names.items()}
    for name, keys in re.findall(r"^\| `(\w+)` \|.*\| ([^|]*) \|$", table, re.MULTILINE):
        for key in re.findall(r"`(\w+)`", keys):
            assert key in fields[name]


def test_every_option_on_the_page_exists() -> None:
    commands = get_command(app).commands  # type: ignore[attr-defined]  # it is a group
    options = {option for command in commands.values() for each in command.params for option in each.opts}
    said = set(
        re.findall(r"`(--[a-z-]+)[ `]", section_text("What is asked, and why") + section_text("What `inspect` tells"))
    )
    assert said
    assert said <= options


def test_links_lead_somewhere() -> None:
    text = PAGE.read_text("utf-8")
    for path, anchor in re.findall(r"\]\(([^)#]*)(?:#([^)]*))?\)", text):
        target = PAGE.parent / path if path else PAGE
        headings = re.findall(r"^#+ (.*)$", target.read_text("utf-8"), re.MULTILINE)
        assert not anchor or anchor in {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}
