"""The benchmark: the physical limit and the served path, measured in one run. `make bench` runs it."""
