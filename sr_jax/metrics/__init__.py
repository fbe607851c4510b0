"""Numbers that are reported, not differentiated."""
