"""What `decode: scaled` changes in the answers, and what it saves: `python -m bench.decode` prints it as Markdown.

Photographs of two Python packages are brought to the sizes that cameras deliver, encoded as JPEG, and classified by the
demo model after an exact and after a scaled decode.
"""

from __future__ import annotations

import io
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from math import ceil
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

import zoo
from predictor.batching import run_rows
from predictor.loading import Loaded, load
from predictor.settings import PredictorSettings
from serving.decoders import NumpyOps
from serving.log import configure_logging
from serving.v2 import Tensor
from transformer.pictures import Limits, decode, place, read_header, resize
from transformer.pictures.prepare import SCALED_HEADROOM

MODEL = "efficientnet-lite0"
HEADROOMS = (1.0, SCALED_HEADROOM, 2.0)
WIDTHS = (1024, 1280, 1600, 2400, 4000)
ENLARGED = (
    ("skimage.data", "chelsea.png"),
    ("skimage.data", "coffee.png"),
    ("skimage.data", "astronaut.png"),
    ("skimage.data", "rocket.jpg"),
    ("sklearn.datasets", "images/china.jpg"),
    ("sklearn.datasets", "images/flower.jpg"),
)
AS_THEY_ARE = (("skimage.data", "hubble_deep_field.jpg"), ("skimage.data", "retina.jpg"))


@dataclass(frozen=True, slots=True)
class Difference:
    """How the answer for one picture differs between an exact and a scaled decode."""

    exact_label: str
    scaled_label: str
    exact_score: float
    scaled_score: float
    largest: float
    exact_ms: float
    scaled_ms: float


def pictures() -> Iterator[tuple[str, bytes]]:
    """Each picture's name and its JPEG."""
    for package, path in AS_THEY_ARE:
        yield path, files(package).joinpath(path).read_bytes()
    for package, path in ENLARGED:
        image = Image.open(io.BytesIO(files(package).joinpath(path).read_bytes())).convert("RGB")
        for width in WIDTHS:
            buffer = io.BytesIO()
            size = (width, round(width * image.height / image.width))
            image.resize(size, Image.Resampling.LANCZOS).save(buffer, "JPEG", quality=90)
            yield f"{Path(path).stem} at {width} px", buffer.getvalue()


class Classifier:
    """The demo model in this process, with a decode of choice."""

    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded
        self._rules = loaded.directory.contract.input

    def compare(self, encoded: bytes, headroom: float) -> Difference:
        """Classify a JPEG after an exact and after a scaled decode."""
        exact, exact_ms = _timed(lambda: self._pixels(encoded, None))
        scaled, scaled_ms = _timed(lambda: self._pixels(encoded, headroom))
        p, q = self._probabilities(exact), self._probabilities(scaled)
        labels = self._loaded.directory.labels
        return Difference(
            exact_label=labels[p.argmax()],
            scaled_label=labels[q.argmax()],
            exact_score=float(p.max()),
            scaled_score=float(q.max()),
            largest=float(np.abs(p - q).max()),
            exact_ms=exact_ms,
            scaled_ms=scaled_ms,
        )

    def _pixels(self, encoded: bytes, headroom: float | None) -> npt.NDArray[np.uint8]:
        header = read_header(encoded, Limits())
        placement = place(self._rules, header.width, header.height)
        cover = None if headroom is None else (ceil(placement.width * headroom), ceil(placement.height * headroom))
        rules = self._rules if cover else self._rules.model_copy(update={"decode": "exact"})
        return resize(decode(header, cover=cover), rules)[0]

    def _probabilities(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        loaded = self._loaded
        inputs = (Tensor(loaded.inputs[0].name, pixels[None]),)
        (logits,) = run_rows(loaded.lanes[0], loaded.run_size, inputs, [loaded.outputs[0].name])
        probabilities: npt.NDArray[np.float32] = NumpyOps().softmax(logits.array, 1)[0]
        return probabilities


def main() -> None:
    """Print a table of headrooms, and one of the pictures at the headroom that is used."""
    configure_logging("WARNING", "console", "bench")
    model_dir = zoo.pull_cached(MODEL)
    classifier = Classifier(load(PredictorSettings(model_dir=model_dir, model_name=MODEL)))
    encoded = dict(pictures())
    by_headroom = {
        headroom: {name: classifier.compare(picture, headroom) for name, picture in encoded.items()}
        for headroom in HEADROOMS
    }
    print(f"{len(encoded)} JPEGs, {MODEL}\n")
    print("| headroom | other first labels | largest \\|Δp\\| | median of largest \\|Δp\\| | time ÷ exact |")
    print("|---|---|---|---|---|")
    for headroom, found in by_headroom.items():
        changed = sum(d.exact_label != d.scaled_label for d in found.values())
        largest = [d.largest for d in found.values()]
        share = statistics.median(d.scaled_ms / d.exact_ms for d in found.values())
        print(f"| {headroom:g} | {changed} | {max(largest):.4f} | {statistics.median(largest):.4f} | {share:.2f} |")
    print(f"\nAt {SCALED_HEADROOM:g}:\n")
    print("| picture | first label | p exact | p scaled | largest \\|Δp\\| | ms exact | ms scaled |")
    print("|---|---|---|---|---|---|---|")
    for name, d in by_headroom[SCALED_HEADROOM].items():
        label = d.exact_label if d.exact_label == d.scaled_label else f"{d.exact_label} → {d.scaled_label}"
        print(
            f"| {name} | {label} | {d.exact_score:.3f} | {d.scaled_score:.3f} | {d.largest:.4f} "
            f"| {d.exact_ms:.1f} | {d.scaled_ms:.1f} |"
        )


def _timed(work: Callable[[], npt.NDArray[np.uint8]]) -> tuple[npt.NDArray[np.uint8], float]:
    """Do `work` three times; return its result and the median in milliseconds."""
    times = []
    for _ in range(3):
        started = time.perf_counter()
        result = work()
        times.append((time.perf_counter() - started) * 1000)
    return result, statistics.median(times)


if __name__ == "__main__":
    main()
