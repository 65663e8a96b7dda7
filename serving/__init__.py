"""What both servers stand on: contract, V2 tensors, errors, settings, logs, metrics, the server's life."""

from serving.version import __version__

__all__ = ["__version__"]
