"""The version of kserve-vision: one place, read by the package, the servers' metadata and the logs."""

__version__ = "0.1.0.dev0"
