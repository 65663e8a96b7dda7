"""The tools that the tests of manifests, chart and command line run: built once from Go modules, into a cache."""
