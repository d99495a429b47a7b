"""Looking at a source that somebody uploads, in a sandbox."""

from __future__ import annotations

from headrace.config import Settings
from headrace.engine.activities import Look
from headrace.errors import WrongState
from headrace.nodes.lanes import Language, Program, SandboxFailed
from headrace.sandbox.checked import Checked
from headrace.sandbox.lane import opened


def looking(settings: Settings) -> Look:
    """What finds out what is wrong with a source, and its functions.

    It raises WrongState where this machine has no sandbox, unless unsafe code is allowed.
    """

    async def look(language: Language, source: str) -> Checked:
        try:
            async with opened(allows_unsafe=settings.unsafe_code) as lane:
                return await lane.check(Program(language, source))
        except SandboxFailed as error:
            raise WrongState(f"The source cannot be checked: {error.failed.message}") from error

    return look
