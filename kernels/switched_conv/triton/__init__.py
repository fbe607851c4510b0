"""The switched convolution on NVIDIA GPUs, in Triton's language."""
