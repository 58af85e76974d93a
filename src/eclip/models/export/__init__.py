"""Models in formats that other libraries open: of `transformers`, of open_clip, and ONNX."""
