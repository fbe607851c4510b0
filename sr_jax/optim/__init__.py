"""Optimizers, and the accumulated, guarded update."""
