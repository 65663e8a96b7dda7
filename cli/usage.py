"""What is wrong with an option, in plain words: a command's own way to say what pydantic found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import typer
from pydantic import ValidationError
from typer.core import TyperCommand

_EXPECTED: Final[Mapping[str, str]] = {
    "greater_than_equal": "{ge:g} or more is expected",
    "less_than_equal": "{le:g} or less is expected",
    "greater_than": "more than {gt:g} is expected",
    "less_than": "less than {lt:g} is expected",
    "float_parsing": "a number is expected",
    "int_parsing": "a whole number is expected",
    "int_from_float": "a whole number is expected",
}
"""What is said of pydantic's kinds of error, with their context."""


class PlainCommand(TyperCommand):
    """A command that says of a wrong value what it is, and what is expected."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the command line.

        Raises:
            typer.BadParameter: a value is wrong.
        """
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as error:
            if isinstance(error.__cause__, ValidationError):
                error.message = in_plain_words(error.__cause__) or error.message
            raise


def in_plain_words(error: ValidationError) -> str:
    """Return the first fault in plain words; empty where there are none for it."""
    fault = error.errors()[0]
    if fault["type"] == "value_error":
        return fault["msg"].removeprefix("Value error, ")
    expected = "a number is expected" if str(fault["input"]).lower() == "nan" else _EXPECTED.get(fault["type"])
    return "" if expected is None else f"{fault['input']}: {expected.format(**fault.get('ctx', {}))}"
