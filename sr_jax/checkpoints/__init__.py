"""Checkpoints: what a run saves, reads back and starts from."""
