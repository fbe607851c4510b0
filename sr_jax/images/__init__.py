"""Images as files and arrays: reading, writing, resizing, padding, contact sheets."""
