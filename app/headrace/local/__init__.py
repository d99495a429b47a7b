"""The embedded stack: real servers and workers as children of one process."""
