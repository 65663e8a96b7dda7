"""What is meant by keys that a contract leaves out.

`python -m tests.unit.serving.contract_defaults` records it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from serving.contract import InputRules, Normalize
from serving.contract.directory import REVISION
from serving.contract.faults import RESIZES
from serving.decoders import DECODERS

RECORD = Path(__file__).with_suffix(".json")


def defaults() -> dict[str, Any]:
    """Return the defaults of every digested key, and the revision that they are those of."""
    sections: dict[str, type[BaseModel]] = {"input": InputRules, "input.normalize": Normalize}
    sections |= {f"input.resize, {rule}": kind for rule, kind in RESIZES.items()}
    found = {name: _of(kind, frozenset()) for name, kind in sections.items()}
    for task, decoders in DECODERS.items():
        for name, decoder in decoders.items():
            found[f"{task}, {name}"] = _of(decoder.rules_type, decoder.rules_type.adjustable)
    return {"revision": REVISION, "defaults": found}


def _of(kind: type[BaseModel], left_out: frozenset[str]) -> dict[str, Any]:
    fields = {name: field for name, field in kind.model_fields.items() if name not in left_out}
    return {
        name: to_jsonable_python(field.get_default(call_default_factory=True, validated_data={}))
        for name, field in fields.items()
        if not field.is_required()
    }


if __name__ == "__main__":
    RECORD.write_text(json.dumps(defaults(), indent=1, sort_keys=True) + "\n", encoding="utf-8")
