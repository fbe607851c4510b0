"""Losses: two tensors to a scalar, differentiated."""
