"""Films as streams and arrays: reading, writing, exact colors, and the repair of old tapes."""
