"""The picture's path: from bytes, good and hostile, to a model's input."""
