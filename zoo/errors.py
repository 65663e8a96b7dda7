"""What can go wrong between a recipe's name and a model directory.

::

    ZooError
    ├── RecipeUnknown         no recipe has this name
    ├── PackageUnavailable    pip or npm is missing, the index cannot be reached, or it no longer has the package
    ├── PackageMismatch       the index gave other bytes than the recipe was written for
    ├── WeightsInvalid        the package's weights are not what the recipe reads, or are not safe to read
    ├── BuilderMissing        a library that the recipe builds with is not installed
    └── DestinationUnusable   something else stands where the model directory should go, or it cannot be written

Messages are whole sentences that say what to do next; the command line prints them as they are.
"""

from __future__ import annotations


class ZooError(Exception):
    """A model could not be pulled."""


class RecipeUnknown(ZooError):
    """No recipe has this name."""


class PackageUnavailable(ZooError):
    """The package could not be downloaded."""


class PackageMismatch(ZooError):
    """The downloaded archive is not the one that the recipe was written for."""


class WeightsInvalid(ZooError):
    """The weights cannot be read, or are refused because reading them could run code."""


class BuilderMissing(ZooError):
    """A library that the recipe builds with is not installed."""


class DestinationUnusable(ZooError):
    """The destination holds something that a pull must not replace, or cannot be written."""
