"""Build tools: `python -m tools [--where] [GROUP or NAME ...]`; without a name, what `make test-cluster` runs."""

from __future__ import annotations

import argparse
import sys

from tools.build import BuildFailed, provide
from tools.cache import ToolMissing, located
from tools.families import BINARIES, FILES, GROUPS


def main() -> int:
    """Build or fetch what is named, and with `--where` print where it lies."""
    parser = argparse.ArgumentParser(prog="python -m tools", description=__doc__)
    known = [*GROUPS, *BINARIES, *FILES]
    parser.add_argument("names", nargs="*", default=["cluster"], metavar="NAME", help=", ".join(known))
    parser.add_argument("--where", action="store_true", help="print the path of each")
    options = parser.parse_args()
    if unknown := set(options.names) - set(known):
        parser.error(f"no tool is called {', '.join(sorted(unknown))}")
    names = tuple(dict.fromkeys(name for each in options.names for name in GROUPS.get(each, (each,))))
    try:
        provide(names)
    except (BuildFailed, ToolMissing) as failed:
        print(failed, file=sys.stderr)
        return 1
    if options.where:
        print(*(f"{name}\t{located(name)}" for name in names), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
