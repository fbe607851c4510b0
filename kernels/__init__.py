"""Hand-written operations, one folder each, imported as `sr_jax.kernels`.

`gpu` is of no operation: what the kernels of any need of GPUs. Nothing here imports Flax, or
anything of sr_jax outside of it.
"""
