"""From the evidence to the contract: one value for each key, the surest first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from inspection.answers import Answers
from inspection.errors import AnswerUnfit, NotServable
from inspection.evidence import RANK, Conclusion, Dossier, Finding, LabelSet, Sure
from inspection.graph import Graph
from inspection.outputs import Reading, Scene, readings, why_none
from inspection.picture_input import PictureInput
from serving.decoders import DECODERS
from serving.decoders.class_scores import BACKGROUND_LABELS

KEYS: Final = (
    "task", "model.file", "model.description", "model.license", "input.size_tensor", "input.size_order", "input.height",
    "input.width", "input.resize", "input.color", "input.normalize", "input.layout", "input.datatype", "output",
    "labels", "batching.max_batch_size",
)  # fmt: skip
"""The keys of a contract that inspection writes, in its order."""


def choose_reading(scene: Scene, answers: Answers) -> tuple[Reading, ...]:
    """Return the ways to read the outputs that are left, the likeliest first: one where it can be told.

    Raises:
        NotServable: there is none.
        AnswerUnfit: the options name a task or a decoder that there is not.
    """
    _check_runs(scene.graph)
    unserved = scene.dossier.find("unserved")
    if unserved is not None and answers.task is None:
        raise NotServable(
            f"the model gives {unserved.value} ({unserved.source}), which is no task of kserve-vision; --task raw "
            "passes its tensors through"
        )
    named = _named(scene, answers)
    if named is not None:
        return (named,)
    found = _of_the_tensor(scene, answers.tensor)
    said = scene.dossier.find("task")
    if said is not None:
        fitting = [reading for reading in found if reading.task == said.value]
        found = fitting or _forced(scene, str(said.value), said)
    if not found:
        raise NotServable(_none(scene))
    least = min((reading.sure for reading in found), key=RANK.__getitem__)
    best = [reading for reading in found if reading.sure is least]
    if least is Sure.OPEN:
        best.append(Reading("raw", "tensors", Sure.OPEN, "any outputs", meaning="their numbers as they are"))
    return tuple(_with_found_decoder(scene, reading) for reading in best)


def _check_runs(graph: Graph) -> None:
    """Refuse a graph that cannot be run, or finds nothing in any picture.

    Raises:
        NotServable: it is one.
    """
    of_tensorrt = sorted(operator for operator in graph.operators if operator.endswith("_TRT"))
    if of_tensorrt:
        raise NotServable(
            f"the graph has TensorRT's operator {of_tensorrt[0]:.60}, which ONNX Runtime cannot load: export without "
            "it (YOLOv7: --end2end --max-wh 640)"
        )
    if graph.empty and graph.producer.startswith("pytorch"):
        listed = ", ".join(repr(name[:60]) for name in graph.empty[:4])
        raise NotServable(
            f"by the file, the outputs {listed} have no elements: it was exported with a picture in which nothing was "
            "found, and finds nothing in any other; export with dynamo=False, or with a picture of something to find"
        )


def _of_the_tensor(scene: Scene, name: str | None) -> list[Reading]:
    """Return the ways to read the outputs, or the one that the user names."""
    if name is None:
        return readings(scene)
    value = scene.graph.output(name)
    if value is None:
        there = ", ".join(repr(each.name) for each in scene.outputs[:8])
        raise AnswerUnfit(f"--tensor is {name!r}; the graph has the outputs {there}")
    alone = replace(scene, graph=replace(scene.graph, outputs=(value,)))
    named = {"tensor": name} if len(scene.outputs) > 1 else {}
    return [replace(reading, output={**named, **reading.output}) for reading in readings(alone)]


def _forced(scene: Scene, task: str, said: Finding) -> list[Reading]:
    """Return a reading of a task that the user or a file names, and the shapes do not suggest."""
    if task == "raw":
        return [Reading("raw", "tensors", said.sure, said.source)]
    if task == "embedding" and scene.outputs:
        return [Reading("embedding", "vector", Sure.GUESSED, said.source, scene.tensor(scene.outputs[0]))]
    return []


def _named(scene: Scene, answers: Answers) -> Reading | None:
    """Return the reading that `--decoder` names, with what was recognised of it."""
    if answers.task is not None and answers.task not in DECODERS:
        raise AnswerUnfit(f"--task is {answers.task!r}: one of {', '.join(DECODERS)} is expected")
    if answers.decoder is None:
        return None
    tasks = [task for task, decoders in DECODERS.items() if answers.decoder in decoders]
    if not tasks:
        every = ", ".join(name for decoders in DECODERS.values() for name in decoders)
        raise AnswerUnfit(f"--decoder is {answers.decoder!r}: one of {every} is expected")
    task = answers.task or (tasks[0] if len(tasks) == 1 else None)
    if task not in tasks:
        raise AnswerUnfit(f"--decoder {answers.decoder} is of {' and of '.join(tasks)}: say --task, one of them")
    same = [
        each for each in _of_the_tensor(scene, answers.tensor) if (each.task, each.decoder) == (task, answers.decoder)
    ]
    if same:
        return replace(same[0], sure=Sure.GIVEN)
    tensor = {"tensor": answers.tensor} if answers.tensor else {}
    used = (answers.tensor,) if answers.tensor else tuple(value.name for value in scene.outputs[:1])
    fields = DECODERS[task][answers.decoder].rules_type.model_fields
    if not tensor and "tensor" in fields and len(scene.outputs) > 1:
        tensor = {"tensor": scene.outputs[0].name}
    return Reading(task, answers.decoder, Sure.GIVEN, "--decoder", tensor, None, used)


def _with_found_decoder(scene: Scene, reading: Reading) -> Reading:
    """Return a classifier's reading with the decoder that a file names, unless the graph has done its work."""
    found = scene.dossier.find("output.decoder")
    if found is None or reading.decoder not in ("logits", "probabilities") or reading.task not in DECODERS:
        return reading
    if found.value not in DECODERS[reading.task] or (found.value == "sigmoid" and reading.decoder == "probabilities"):
        return reading
    return replace(reading, decoder=str(found.value), source=f"{reading.source}, and {found.source}")


def _none(scene: Scene) -> str:
    outputs = "; ".join(map(str, scene.outputs[:8]))
    more = f" and {len(scene.outputs) - 8} more" if len(scene.outputs) > 8 else ""  # noqa: PLR2004
    said = scene.dossier.find("task")
    of = f" as {said.value} ({said.source})" if said is not None else ""
    return (
        f"no decoder reads the outputs{of}: {outputs}{more}. "
        f"{_sentence(why_none(scene))}--task raw passes them through, and --decoder NAME tries one"
    )


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}. " if text else ""


def fitting_labels(dossier: Dossier, reading: Reading) -> tuple[LabelSet | None, str]:
    """Return the labels that fit the number of classes, and a sentence of those that do not.

    Raises:
        AnswerUnfit: those of `--labels` do not.
    """
    if reading.task in ("embedding", "raw"):
        return None, ""
    misfit = ""
    for labels in (each for evidence in dossier.evidence for each in evidence.labels):
        fitted = _fitted(labels, reading.classes)
        if fitted is not None:
            return fitted, ""
        said = f"{labels.source}: {len(labels.labels)} labels, and the outputs have {reading.classes} classes"
        if labels.is_given:
            raise AnswerUnfit(f"{said}; a label for each class is expected")
        misfit = misfit or f"{said}, so they are not used; --labels FILE gives others"
    return None, misfit


def _fitted(labels: LabelSet, classes: int | None) -> LabelSet | None:
    if classes is None or labels.size == classes:
        return labels
    first = labels.labels.get(0, "").strip().lower()
    if labels.size == classes + 1 and first in ("", *BACKGROUND_LABELS):
        shifted = {number - 1: label for number, label in labels.labels.items() if number}
        return LabelSet(shifted, f"{labels.source}, without the background's")
    if labels.size + 1 == classes and first not in BACKGROUND_LABELS:
        return LabelSet(
            {0: "background"} | {number + 1: label for number, label in labels.labels.items()},
            f"{labels.source}, with the background's before them",
        )
    return None


def fit_size(picture: PictureInput, answers: Answers) -> None:
    """Hold the size that the user gives against the one that the graph has.

    Raises:
        AnswerUnfit: the graph has another.
    """
    if answers.size is None:
        return
    fixed = (picture.height, picture.width)
    for said, there in zip(answers.size, fixed, strict=True):
        if there is not None and said != there:
            raise AnswerUnfit(
                f"--size is {answers.size[0]}x{answers.size[1]}; the graph takes {picture.value}: leave --size out"
            )


def fit_resize(dossier: Dossier, answers: Answers, picture: PictureInput) -> Finding:
    """Return a resize rule that goes together with the size that was concluded."""
    found = dossier.find("input.resize")
    assert found is not None  # noqa: S101  # what is usual is always among the evidence
    height, width = dossier.find("input.height"), dossier.find("input.width")
    size = (height.value, width.value) if height is not None and width is not None else None
    given = answers.resize_rule(size)
    if given is not None:
        found = Finding("input.resize", given, Sure.GIVEN, "--resize")
    rule, sure, source = dict(found.value), found.sure, found.source
    is_fixed = picture.height is not None and picture.width is not None
    if rule["rule"] == "shortest_edge" and is_fixed:
        if sure is Sure.GIVEN:
            raise AnswerUnfit("--resize shortest_edge needs a graph that takes any size; this one's is fixed")
        rule = {"rule": "letterbox", "align": "top_left", "color": (124, 116, 104)}
        sure, source = Sure.GUESSED, f"{source}; the graph has one size, so the rest is filled with ImageNet's mean"
    if rule["rule"] == "crop" and size is not None and rule["shorter_side"] < max(size):
        rule["shorter_side"] = max(size)
        sure, source = Sure.DERIVED, f"{source}; no less than the graph's own size"
    stride = dossier.find("stride")
    if stride is not None and size is not None and _takes_rectangles(rule, size, stride.value, picture, dossier):
        rule["multiple"] = stride.value
        source = f"{source}; {stride.source}, and height and width are free"
    if answers.interpolation is not None:
        rule["interpolation"] = answers.interpolation
    return Finding("input.resize", rule, sure, source)


def _takes_rectangles(
    rule: Mapping[str, Any], size: tuple[int, int], stride: int, picture: PictureInput, dossier: Dossier
) -> bool:
    """Whether a YOLO's graph takes a box that follows the picture's shape, as Ultralytics' own inference gives it."""
    is_free = picture.height is None and picture.width is None
    fits = size[0] % stride == size[1] % stride == 0
    return rule["rule"] == "letterbox" and is_free and fits and "ultralytics" in dossier.families


def as_conclusions(dossier: Dossier, findings: Sequence[Finding]) -> list[Conclusion]:
    """Return the findings with what contradicts them, in the contract's order."""
    concluded = []
    for finding in findings:
        known = dossier.conclude(finding.key)
        conflicts = known.conflicts if known is not None else ()
        concluded.append(Conclusion(finding, tuple(c for c in conflicts if c.value != finding.value)))
    return sorted(concluded, key=lambda each: _place(each.finding.key))


def _place(key: str) -> int:
    return next((place for place, known in enumerate(KEYS) if key == known or key.startswith(f"{known}.")), len(KEYS))
