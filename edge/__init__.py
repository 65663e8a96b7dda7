"""Transformer and predictor in one process, for a small machine: the same code, with a call where the network was."""
