"""Old analog recordings repaired before a network enlarges them, each step a file of its own.

All work on luma and chroma by BT.601's matrix, [t, h, w, 3], luma in [0, 1]; `chain` joins them.
"""
