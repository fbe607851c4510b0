"""The verbs of `python -m sr_jax`, one a file."""
