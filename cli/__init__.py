"""The command line: `kserve-vision serve | predict | models`."""
