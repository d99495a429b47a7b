"""The command line: one command group a file; each command parses, calls one function and prints."""
