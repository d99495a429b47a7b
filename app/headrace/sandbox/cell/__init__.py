"""What runs on the other side of the wall: the nursery, and the cells that it forks.

Standard library only, and relative imports only: it is loaded by `python -I -S`, as the package `cell`.
"""
