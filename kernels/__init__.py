"""Hand-written operations, one folder each, imported as `sr_jax.kernels`."""
