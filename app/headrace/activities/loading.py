"""Importing modules that no name leads to: files of a folder that share a name with something else."""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType


def load_file(name: str, file: str) -> ModuleType:
    """The module of a file, under this name; imported once. Raises ImportError, and what the file raises."""
    known = sys.modules.get(name)
    if known is not None and known.__file__ == file:
        return known
    spec = spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is no Python module", name=name, path=file)
    module = module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
