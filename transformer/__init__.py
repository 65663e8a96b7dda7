"""The picture server: decodes and resizes, asks a V2 predictor, and answers typed predictions."""
