"""Trained networks at work: loading, enlarging images of any size, and films."""
