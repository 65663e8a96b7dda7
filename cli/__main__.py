"""`python -m cli`: the same as `kserve-vision`."""

from cli.main import main

main()
