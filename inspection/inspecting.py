"""One inspection, from the file to what may be written."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from inspection import writing
from inspection.answers import Answers
from inspection.conclude import as_conclusions, choose_reading, fit_resize, fit_size, fitting_labels
from inspection.evidence import Conclusion, Dossier, Evidence, Finding, LabelSet, Sure
from inspection.files import find_model
from inspection.graph import Graph, read_graph
from inspection.outputs import Reading, Scene
from inspection.picture_input import PictureInput, picture_input
from inspection.practice import usual
from inspection.questions import Question, of_the_input, of_the_outputs, which_reading
from inspection.readers import READERS
from inspection.traps import traps
from serving.decoders import decoder_type


@dataclass(frozen=True, slots=True)
class Inspection:
    """What was concluded of a model. While `questions` are open, `conclusions` hold guesses that are likely wrong."""

    graph: Graph
    conclusions: tuple[Conclusion, ...]
    questions: tuple[Question, ...]
    traps: tuple[str, ...]
    labels: LabelSet | None

    @property
    def guesses(self) -> tuple[Conclusion, ...]:
        """The conclusions that nothing speaks for."""
        return tuple(each for each in self.conclusions if each.finding.sure in (Sure.GUESSED, Sure.OPEN))

    def value(self, key: str) -> Any:
        """Return what a key comes to; None where it is left to its default."""
        return next((each.finding.value for each in self.conclusions if each.finding.key == key), None)

    def contract(self) -> dict[str, Any]:
        """Return the contract as nested keys."""
        nested: dict[str, Any] = {}
        for each in self.conclusions:
            *sections, last = each.finding.key.split(".")
            place = nested
            for section in sections:
                place = place.setdefault(section, {})
            place[last] = writing.plain(each.finding.value)
        return nested

    def texts(self, folder: Path) -> dict[str, str]:
        """Return the files of text to write into a folder, by their names."""
        file = writing.model_file(self.graph, folder)
        here = {"model.file": Finding("model.file", file, Sure.FOUND, "the file's name")}
        files: dict[str, str] = {}
        if self.labels is not None:
            name, text = writing.labels_text(self.labels)
            name = writing.free_name(folder, name, text, self.graph.path.stem)
            here["labels"] = Finding("labels", name, Sure.FOUND, self.labels.source)
            files[name] = text
        task, *others = (each for each in self.conclusions if each.finding.key != "model.file")
        placed = [Conclusion(here.get(each.finding.key, each.finding), each.conflicts) for each in others]
        ordered = [task, Conclusion(here["model.file"]), *placed]
        return {writing.CONTRACT: writing.contract_text(ordered, self.graph.path.name), **files}

    def write(self, folder: Path | None = None, *, force: bool = False) -> tuple[Path, list[Path]]:
        """Write the contract and the labels beside the model, or to a folder of their own, with the model.

        Return the model directory and what was written in it.

        Raises:
            NotWritten: something is in the way.
        """
        folder = folder or self.graph.path.parent
        return folder, writing.place(self.graph, folder, self.texts(folder), force=force)


def inspect(path: Path, answers: Answers | None = None) -> Inspection:
    """Inspect an ONNX file, or the folder that holds one, and check the contract that follows. Nothing is written.

    Raises:
        NotAModel: it is no ONNX model.
        NotServable: it has no picture in, or outputs that no decoder reads.
        AnswerUnfit: the answers do not fit the model.
    """
    answers = answers or Answers()
    graph = read_graph(find_model(path))
    picture = picture_input(graph)
    fit_size(picture, answers)
    dossier = _collect(graph, picture, answers)
    scene = Scene(graph, dossier, _size(dossier), picture.layout)
    found = choose_reading(scene, answers)
    reading = found[0]
    labels, misfit = fitting_labels(dossier, reading)
    dossier.label_set = labels
    dossier.add(*usual(scene, reading, picture))
    questions = [which_reading(found)] if len(found) > 1 else []
    of_outputs = of_the_outputs(reading, dossier)
    questions += [*of_outputs, *of_the_input(dossier)]
    notes = [note for each in dossier.evidence for note in each.notes]
    surprises = [*notes, *traps(graph, dossier, picture, reading)]
    if misfit:
        surprises.insert(0, misfit)
    findings = list(_findings(dossier, answers, picture, found, is_told=not of_outputs))
    rule = next(finding.value for finding in findings if finding.key == "input.resize")
    if None in (picture.height, picture.width) and rule["rule"] != "shortest_edge" and "multiple" not in rule:
        surprises.append("height and width are free in the graph: the contract brings each picture to the same size")
    inspection = Inspection(graph, tuple(as_conclusions(dossier, findings)), tuple(questions), tuple(surprises), labels)
    _check(inspection)
    return inspection


def _collect(graph: Graph, picture: PictureInput, answers: Answers) -> Dossier:
    folder = graph.path.absolute().parent
    given = answers.evidence()
    evidence = [given, Evidence(picture.findings()), *(read(graph, folder) for read in READERS)]
    sets = [each for one in evidence for each in one.labels]
    return Dossier(evidence, sets[0] if sets else None)


def _size(dossier: Dossier) -> tuple[int, int] | None:
    height, width = dossier.find("input.height"), dossier.find("input.width")
    return (height.value, width.value) if height is not None and width is not None else None


def _findings(
    dossier: Dossier, answers: Answers, picture: PictureInput, readings: Sequence[Reading], *, is_told: bool
) -> Iterator[Finding]:
    """Tell the keys of the contract, by the first of the readings; `is_told` is whether nothing of it is asked."""
    reading = readings[0]
    sure = Sure.OPEN if len(readings) > 1 else reading.sure
    said = dossier.find("task")
    yield (
        said if said is not None and said.value == reading.task else Finding("task", reading.task, sure, reading.source)
    )
    for key in ("model.description", "model.license"):
        found = dossier.find(key)
        if found is not None:
            yield found
    yield from picture.extra_findings()
    resize = fit_resize(dossier, answers, picture)
    if resize.value["rule"] != "shortest_edge":
        yield from (f for f in (dossier.find("input.height"), dossier.find("input.width")) if f is not None)
    yield resize
    for key in ("input.color", "input.normalize", "input.layout", "input.datatype"):
        found = dossier.find(key)
        if found is not None:
            yield _explicit(found)
    yield Finding("output", _output(dossier, reading), sure if is_told else Sure.OPEN, reading.source)
    if dossier.label_set is not None:
        name, _ = writing.labels_text(dossier.label_set)
        yield Finding("labels", name, Sure.FOUND, dossier.label_set.source)
    if picture.batch:
        source = f"the batch of {picture.value} is fixed"
        yield Finding("batching.max_batch_size", picture.batch, Sure.DERIVED, source)


def _explicit(finding: Finding) -> Finding:
    """Return a normalisation with its scale, although 1/255 is the default, so that who reads the file sees it."""
    if finding.key == "input.normalize" and "scale" not in finding.value:
        return replace(finding, value={"scale": 1 / 255, **finding.value})
    return finding


def _output(dossier: Dossier, reading: Reading) -> Mapping[str, Any]:
    """Return the section `output`: the reading's keys, and those found or given that its decoder knows."""
    fields = decoder_type(reading.task, reading.decoder).rules_type.model_fields
    output: dict[str, Any] = {"decoder": reading.decoder, **reading.output}
    for evidence in reversed(dossier.evidence):
        for finding in evidence.findings:
            key = finding.key.removeprefix("output.")
            settles = key not in reading.output or finding.sure is Sure.GIVEN
            if key in {finding.key, "decoder"}:
                continue
            if settles and (key in fields or finding.sure is Sure.GIVEN):
                output[key] = finding.value
    return {key: value for key, value in output.items() if key not in fields or fields[key].default != value}


def _check(inspection: Inspection) -> None:
    """Write the contract to a folder that goes again, and read it as a server does."""
    with tempfile.TemporaryDirectory(prefix="kserve-vision-") as name:
        folder = Path(name)
        for file, text in inspection.texts(folder).items():
            (folder / file).write_text(text, encoding="utf-8")
        writing.check(folder, inspection.graph)
