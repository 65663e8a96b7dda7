"""The contract as a file that a person reads: each key under a comment that says how it came to be known."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from filecmp import cmp
from pathlib import Path
from typing import Any, Final

import yaml

from inspection.errors import NotServable, NotWritten
from inspection.evidence import Conclusion, LabelSet, Sure
from inspection.graph import Graph, is_beside, missing_files
from serving.contract import load_model_directory
from serving.errors import ContractInvalid

CONTRACT: Final = "model.yaml"
_MOST_COMMENT: Final = 150
_SURELY: Final = (Sure.GIVEN, Sure.FOUND, Sure.DERIVED)
_API_VERSION: Final = "kserve-vision/v1"
_SECTIONS: Final = ("model", "input", "output", "batching")


def contract_text(conclusions: Sequence[Conclusion], name: str) -> str:
    """Return the contract as YAML."""
    lines = [
        f"# Written by `kserve-vision inspect {_comment(name)}`.",
        "# given: you said it. found: a file says it. derived: it follows from the graph. GUESSED: check it.",
        f"apiVersion: {_API_VERSION}",
    ]
    section = said = ""
    for conclusion in conclusions:
        finding = conclusion.finding
        head, _, key = finding.key.rpartition(".")
        top, indent = (head, "  ") if head in _SECTIONS else ("", "")
        if finding.key == "output":
            top, key = "", "output"
        if top != section or not top:
            lines.append("")
            said = ""
        if top and top != section:
            lines.append(f"{top}:")
        section, before = top, said
        said = f"{indent}# {finding.sure.value if finding.sure in _SURELY else 'GUESSED'}: {_comment(finding.source)}"
        lines += [said] if said != before else []
        lines += [
            f"{indent}# not {_comment(_short(other.value))}, as {_comment(other.source)} has it"
            for other in conclusion.conflicts
        ]
        lines += [indent + line for line in _dumped(key, plain(finding.value))]
    return "\n".join(lines) + "\n"


def plain(value: Any) -> Any:
    """Return tuples as lists, as YAML and JSON have them."""
    if isinstance(value, Mapping):
        return {key: plain(each) for key, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, (list, tuple)) else value


def labels_text(labels: LabelSet) -> tuple[str, str]:
    """Return the name and the text of a file of labels: one a line, or JSON where class ids have gaps."""
    ids = list(labels.labels)
    if ids == list(range(len(ids))):
        return "labels.txt", "".join(f"{label}\n" for label in labels.labels.values())
    named = {str(number): label for number, label in labels.labels.items()}
    return "labels.json", json.dumps(named, ensure_ascii=False, indent=1) + "\n"


def free_name(folder: Path, name: str, text: str, stem: str) -> str:
    """Return a name for labels in a folder, so that a file of the user's own with other labels stays as it is."""
    taken = (folder / name).exists() and not _says(folder / name, text)
    return f"{stem}.{name}" if taken else name


def check(folder: Path, graph: Graph) -> None:
    """Hold the contract that lies in `folder` against the schema and the graph's outputs, as a server does at load.

    Raises:
        NotServable: it is refused; the sentence is the server's.
    """
    shapes = {
        value.name: None
        if value.shape is None
        else tuple(size if isinstance(size, int) else None for size in value.shape)
        for value in graph.outputs
    }
    try:
        load_model_directory(folder).decoder().bind(shapes)
    except ContractInvalid as error:
        said = error.message.replace(f"{folder / CONTRACT}: ", "").replace(f"{folder}{os.sep}", "")
        raise NotServable(f"the contract that follows would be refused: {said}") from error


def place(graph: Graph, folder: Path, texts: Mapping[str, str], *, force: bool) -> list[Path]:
    """Write the files of a model directory to `folder`: beside the model, or, elsewhere, with the model itself.

    Return what was written. Nothing is, where anything of another content is in the way; `force` replaces it.

    Raises:
        NotWritten: something is in the way, or the folder cannot be written.
    """
    taken = [name for name, text in texts.items() if (folder / name).exists() and not _says(folder / name, text)]
    if taken and not force:
        listed = " and ".join(str(folder / name) for name in taken)
        raise NotWritten(f"{listed} exists already: --force replaces it, --output DIR writes elsewhere")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        written = _weights(graph, folder, force=force)
        for name, text in texts.items():
            if not _says(folder / name, text):
                replace_text(folder / name, text)
                written.append(folder / name)
    except OSError as error:
        raise NotWritten(f"{folder} cannot be written: {error.strerror}") from error
    return written


def model_file(graph: Graph, folder: Path) -> str:
    """Return the name that the model has in `folder`."""
    return graph.path.name if _same(graph.path.parent, folder) else "model.onnx"


def _weights(graph: Graph, folder: Path, *, force: bool) -> list[Path]:
    """Put the model, and the files of its weights, in a folder that is not its own."""
    if _same(graph.path.parent, folder):
        return []
    if missing_files(graph):
        raise NotWritten(f"{graph.path} needs {', '.join(missing_files(graph)[:3])}, which is not beside it")
    pairs = [(graph.path, folder / model_file(graph, folder))]
    pairs += [(graph.path.parent / name, folder / name) for name in graph.data_files if is_beside(name)]
    for source, target in pairs:
        if target.exists() and not (force or cmp(source, target, shallow=False)):
            raise NotWritten(f"{target} exists already: --force replaces it, --output DIR writes elsewhere")
    for source, target in pairs:
        if target.exists() and target.samefile(source):
            continue
        # Never a link: the next export into the same file would change a version that is served.
        target.unlink(missing_ok=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    return [target for _, target in pairs]


def _same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()


def _says(path: Path, text: str) -> bool:
    try:
        return path.read_text(encoding="utf-8") == text
    except (OSError, UnicodeDecodeError):
        return False


def replace_text(path: Path, text: str, *, keep_mode: bool = False) -> None:
    """Write a file, its line ends as they are in `text`, so that a reader sees the old one or the new one."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        fresh.write_text(text, encoding="utf-8", newline="")
        if keep_mode:
            shutil.copymode(path, fresh)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def _dumped(key: str, value: Any) -> list[str]:
    """Return a key as lines of YAML: sections as blocks, lists and numbers on one line."""
    if isinstance(value, Mapping) and value:
        return [f"{key}:", *(f"  {line}" for name, each in value.items() for line in _dumped(name, each))]
    return [f"{key}: {_short(value)}"]


def _comment(text: str) -> str:
    """Return a text on one line, without what would end a comment."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= _MOST_COMMENT else f"{line[:_MOST_COMMENT]} ..."


def _short(value: Any) -> str:
    return yaml.safe_dump(plain(value), default_flow_style=True, width=10_000).replace("\n...", "").strip()
