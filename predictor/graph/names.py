"""Names of values in a graph, and how messages write them."""

from __future__ import annotations

import onnx


def taken_names(graph: onnx.GraphProto) -> set[str]:
    """Return every name that a value of the graph has."""
    taken = {value.name for value in (*graph.input, *graph.output)}
    taken |= {initializer.name for initializer in graph.initializer}
    return taken | {name for node in graph.node for name in (*node.input, *node.output)}


def free_name(wish: str, taken: set[str]) -> str:
    """Return `wish`, or `wish_2` and so on where it is taken; it is taken from then on."""
    name = wish
    number = 1
    while name in taken:
        number += 1
        name = f"{wish}_{number}"
    taken.add(name)
    return name


def rename(graph: onnx.GraphProto, old: str, new: str) -> None:
    """Give a value of the graph, which is none of its inputs, another name wherever it is used, in subgraphs too."""
    for node in graph.node:
        node.input[:] = [new if name == old else name for name in node.input]
        node.output[:] = [new if name == old else name for name in node.output]
        for attribute in node.attribute:
            for subgraph in (attribute.g, *attribute.graphs):
                rename(subgraph, old, new)
    for initializer in graph.initializer:
        if initializer.name == old:
            initializer.name = new
    for value in (*graph.value_info, *graph.output):
        if value.name == old:
            value.name = new


def quoted(values: dict[str, onnx.ValueInfoProto]) -> str:
    """Return the names as a sentence lists them."""
    return ", ".join(map(repr, values)) or "(none)"


def shape_text(dimensions: list[int | None]) -> str:
    """Return a shape as a sentence shows it, `n` where it is free."""
    return f"[{', '.join('n' if dimension is None else str(dimension) for dimension in dimensions)}]"
