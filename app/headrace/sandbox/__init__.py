"""Runs code that nobody vouches for: see docs/discussions/sandboxes.md."""
