"""What a request may change of the contract's output rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self, get_args

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from serving.errors import RequestInvalid
from serving.v2 import Parameter


class Options(BaseModel):
    """The options of one task; None leaves one to the contract. Fields have bounds, and a docstring for people."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, use_attribute_docstrings=True)

    @field_validator("*", mode="before")
    @classmethod
    def _no_number_for_a_switch(cls, value: object, info: Any) -> object:
        if isinstance(value, bool) and bool not in get_args(cls.model_fields[info.field_name].annotation):
            raise ValueError("a switch where a number is expected")
        return value

    def overridden(self, parameters: Mapping[str, Parameter | None]) -> Self:
        """Return the options with a request's own; parameters that are no options, or None, are left alone.

        Raises:
            RequestInvalid: one is of another type, or out of its range.
        """
        given = {name: value for name in type(self).model_fields if (value := parameters.get(name)) is not None}
        if not given:
            return self
        try:
            return type(self).model_validate(self.model_dump() | given)
        except ValidationError as error:
            name = str(error.errors()[0]["loc"][0])
            raise RequestInvalid(f"{name} is {given.get(name)!r:.40}: {self.expected(name)} is expected") from error

    @classmethod
    def expected(cls, name: str) -> str:
        """Say what an option may be, as a part of a sentence."""
        form = next(form for form in _forms(cls.model_json_schema()["properties"][name]) if form["type"] != "null")
        if "enum" in form:
            return f"one of {', '.join(map(str, form['enum']))}"
        if form["type"] == "boolean":
            return "true or false"
        kind = "whole number" if form["type"] == "integer" else "number"
        return f"a {kind} from {form['minimum']} to {form['maximum']}"


def _forms(schema: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the alternatives of a JSON schema."""
    return list(schema.get("anyOf", [schema]))
