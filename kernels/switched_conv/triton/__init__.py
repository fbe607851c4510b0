"""The switched convolution on NVIDIA GPUs, as Pallas kernels that Triton compiles."""
