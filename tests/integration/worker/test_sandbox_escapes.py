"""Two collections of hostile programs: none reaches anything, and each ends in time."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from headrace.nodes.lanes import Language, Program, Sandboxed, SandboxFailed, SandboxLimits
from headrace.sandbox import owner
from headrace.sandbox.answers import sandboxed_of
from headrace.sandbox.cell.process_tree import children_of
from headrace.sandbox.lane import order_for, request_for
from headrace.sandbox.owner import Ended, Nursery
from headrace.sandbox.support import sandbox_support
from support import escapes_in_javascript, escapes_in_python
from support.escapes import Escape, Scene, set_up

pytestmark = pytest.mark.anyio

LIMITS: dict[Language, SandboxLimits] = {
    "python": SandboxLimits(seconds=1, memory_mb=64, output_bytes=1 << 20),
    "javascript": SandboxLimits(seconds=0.25, memory_mb=32, output_bytes=256 << 10),
}
GRACE = 0.5


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """One loop for all, since they share a nursery."""
    return "asyncio"


@pytest.fixture(scope="module", params=[1, 2])
async def old_nursery(request: pytest.FixtureRequest) -> AsyncIterator[Nursery]:
    """As on a kernel that knows Landlock's first or second version: Linux 5.13, or 5.19 to 6.1."""
    known = f"from cell import landlock; landlock.version = lambda: {request.param}; from cell.nursery"
    with pytest.MonkeyPatch.context() as patch, TemporaryDirectory() as zones:
        patch.setattr(owner, "_START", owner._START.replace("from cell.nursery", known))
        Path(zones).chmod(0o755)
        one = await Nursery.start(zones=zones)
        (Path(zones) / "zone").write_text("a zone")
        (Path(zones) / "zone").chmod(0o666)
        yield one
        await one.close()


@pytest.fixture(scope="module")
async def nursery() -> AsyncIterator[Nursery]:
    one = await Nursery.start(sandbox_support().javascript)
    yield one
    await one.close()


async def run(nursery: Nursery, scene: Scene, language: Language, source: str, is_safe: bool = True) -> Ended:
    limits = LIMITS[language]
    request = request_for(Program(language, source), scene.given, limits, check=False)
    return await nursery.run(order_for(language, limits, is_safe), request, limits.output_bytes)


def told(language: Language, ended: Ended) -> tuple[str, str]:
    """How it ended, and all that became known of it."""
    try:
        done = sandboxed_of(language, LIMITS[language], ended)
    except SandboxFailed as error:
        return error.failed.kind, repr((error.failed, error.log))
    assert isinstance(done, Sandboxed)
    return "", json.dumps(done.output) + repr(done.log)


async def try_it(nursery: Nursery, language: Language, escape: Escape) -> None:
    with set_up() as scene:
        ended = await run(nursery, scene, language, escape.source)
        how, text = told(language, ended)
        assert re.fullmatch(escape.ends, how), text[:2000]
        assert scene.secret not in text
        assert "root:" not in text
        assert scene.damage() == []
    assert children_of(nursery.pid) == []
    assert ended.end is not None
    assert ended.end["seconds"] < LIMITS[language].seconds + GRACE


@pytest.mark.parametrize(
    "name",
    [
        "read a file",
        "write a file",
        "cut a file in a mode that is none",
        "cut a file to read it",
        "link a file hard",
        "change a mode",
        "another's environment",
        "TCP",
        "UDP",
        "a socket in the file system",
        "an abstract socket",
        "a pair of sockets sends elsewhere",
        "a shell",
        "signal another",
        "signal by a socket's owner",
    ],
)
async def test_without_walls_the_scene_shows_it(nursery: Nursery, name: str) -> None:
    """Else the tests below could not fail."""
    (escape,) = (one for one in escapes_in_python.ESCAPES if one.name == name)
    with set_up() as scene:
        ended = await run(nursery, scene, "python", escape.source, is_safe=False)
        _, text = told("python", ended)
        assert scene.secret in text or scene.damage()


@pytest.mark.parametrize("escape", escapes_in_python.ESCAPES, ids=str)
async def test_python_does_not_escape(nursery: Nursery, escape: Escape) -> None:
    await try_it(nursery, "python", escape)


@pytest.mark.parametrize("escape", escapes_in_python.FILES, ids=str)
async def test_an_old_landlock_is_enough(old_nursery: Nursery, escape: Escape) -> None:
    await try_it(old_nursery, "python", escape)


async def test_an_old_landlock_keeps_what_can_be_read(old_nursery: Nursery) -> None:
    """A worker that is not root may own its Python, which its cells can read."""
    zone = "os, zoneinfo\nzone = zoneinfo.TZPATH[-1] + '/zone'\n"
    escape = Escape(
        "cut the library", f"import {zone}os.open(zone, os.O_RDONLY | os.O_TRUNC)", "PermissionError"
    )
    await try_it(old_nursery, "python", escape)
    still = Escape("read the library", f"import {zone}assert open(zone).read() == 'a zone'")
    await try_it(old_nursery, "python", still)


@pytest.mark.parametrize("packages", ["site-packages", "dist-packages"])
async def test_what_is_installed_below_the_library_is_not_read(
    packages: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in most images of Python."""
    with TemporaryDirectory() as library, set_up() as scene:
        folder = Path(library) / packages / "ours"
        folder.mkdir(parents=True)
        (folder / "token.py").write_text(f"TOKEN = {scene.secret!r}")
        (Path(library) / "of_the_library.py").write_text("ANSWER = 42")
        (Path(library) / "below").mkdir()
        (Path(library) / "below" / "__init__.py").write_text("ANSWER = 43")
        Path(library).chmod(0o755)
        found = f"sys.path.insert(0, {library!r}); from cell.nursery"
        monkeypatch.setattr(owner, "_START", owner._START.replace("from cell.nursery", found))
        nursery = await Nursery.start()
        source = f"""
import os, sys, of_the_library, below
assert (of_the_library.ANSWER, below.ANSWER) == (42, 43)
os.stat({str(folder)!r} + "/token.py")
sys.path.append({str(folder.parent)!r})
return open({str(folder)!r} + "/token.py").read()
"""
        assert told("python", await run(nursery, scene, "python", source))[0] == "PermissionError"
        source = source.replace("return open", "import ours.token\nreturn open")
        assert told("python", await run(nursery, scene, "python", source))[0] in (
            "PermissionError",
            "ModuleNotFoundError",
        )
        await nursery.close()


@pytest.mark.parametrize("escape", escapes_in_javascript.ESCAPES, ids=str)
async def test_javascript_does_not_escape(nursery: Nursery, escape: Escape) -> None:
    await try_it(nursery, "javascript", escape)
