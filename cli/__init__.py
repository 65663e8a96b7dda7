"""The command line: `kserve-vision serve | predict | inspect | models`."""
