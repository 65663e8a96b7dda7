"""The recipes by name. A new model is one new module and one line here."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from types import MappingProxyType

from zoo import deeplab_voc, efficientnet_lite0, mobilenet_v2, u2netp, yolov4_tiny
from zoo.errors import RecipeUnknown
from zoo.recipe import Recipe

_ALL = (
    efficientnet_lite0.RECIPE,
    mobilenet_v2.RECIPE,
    yolov4_tiny.RECIPE,
    u2netp.RECIPE,
    deeplab_voc.RECIPE,
)

RECIPES: Mapping[str, Recipe] = MappingProxyType({recipe.name: recipe for recipe in _ALL})
"""Every recipe, by the name that `pull` takes."""


def find_recipe(name: str) -> Recipe:
    """Return the recipe called `name`.

    Raises:
        RecipeUnknown: there is none. The message names the nearest and lists all.
    """
    if name in RECIPES:
        return RECIPES[name]
    nearest = get_close_matches(name, RECIPES, n=1)
    raise RecipeUnknown(
        f"the zoo has no model {name!r}"
        + (f": did you mean {nearest[0]!r}?" if nearest else ".")
        + f" It has {', '.join(sorted(RECIPES))}."
    )
