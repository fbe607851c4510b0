"""Programs in ONNX: what jax2onnx is given, and what is made of what it wrote."""
