"""Definitions of other systems, read into ours. Pure: text in, a document and what to know about it out."""
