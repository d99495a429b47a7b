"""What a nursery loads for its cells: it is there at once, and also where a cell could not read its file."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import sys
import tempfile
import zoneinfo
from types import ModuleType

JAVASCRIPT = "_quickjs"
"""The engine's name among the modules; where it was not found, it is not there."""

# What programs that compute ask for most, and what these load late.
_MODULES = """
    __future__ _strptime abc argparse array ast asyncio base64 binascii bisect bz2 calendar cmath codecs
    collections.abc colorsys concurrent.futures configparser contextlib contextvars copy csv dataclasses
    datetime decimal difflib email.message email.parser email.utils enum fnmatch fractions functools
    graphlib gzip hashlib heapq hmac html html.parser http inspect io ipaddress itertools json linecache
    locale logging lzma math mimetypes mmap numbers operator os.path pathlib pickle plistlib pprint queue
    quopri random re reprlib secrets shlex shutil signal sqlite3 stat statistics string struct symtable
    tempfile textwrap threading time timeit token tokenize tomllib traceback types typing unicodedata
    unittest urllib.error urllib.parse uuid warnings weakref xml.dom.minidom xml.etree.ElementTree zipfile
    zlib zoneinfo
    encodings.ascii encodings.cp1252 encodings.idna encodings.latin_1 encodings.punycode encodings.utf_16
    encodings.utf_16_be encodings.utf_16_le encodings.utf_32 encodings.utf_8_sig encodings.unicode_escape
    encodings.raw_unicode_escape encodings.iso8859_15 encodings.hex_codec encodings.base64_codec
    encodings.rot_13 encodings.zlib_codec
"""


def load(javascript: str, zones: str) -> None:
    """javascript: the file of the engine, or ''. zones: a folder of more time zones, or ''."""
    for name in _MODULES.split():
        with contextlib.suppress(ImportError):  # an interpreter may have been built without it
            importlib.import_module(name)
    _let_tempfile_delete()
    if javascript:
        sys.modules[JAVASCRIPT] = _loaded(JAVASCRIPT, javascript)
    zoneinfo.reset_tzpath([*zoneinfo.TZPATH, *([zones] if zones else [])])


def _let_tempfile_delete() -> None:
    """In its own way, for cells may not: what it deletes is emptied there."""
    lenient = ModuleType("os")
    vars(lenient).update(vars(os), unlink=_unlink_or_empty)
    sys.modules["os"] = lenient
    try:
        importlib.reload(tempfile)
    finally:
        sys.modules["os"] = os


def _unlink_or_empty(path: str) -> None:
    try:
        os.unlink(path)
    except PermissionError:
        os.close(os.open(path, os.O_WRONLY | os.O_TRUNC))


def _loaded(name: str, file: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is no module")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
