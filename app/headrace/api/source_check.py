"""Looking at a source that somebody uploads, in a sandbox."""

from __future__ import annotations

from headrace.errors import WrongState
from headrace.nodes.lanes import Language, SandboxFailed
from headrace.sandbox.checked import Checked
from headrace.sandbox.lane import check_source


async def look(language: Language, source: str) -> Checked:
    """What is wrong with a source, and its functions.

    Raises WrongState where this machine has no sandbox, unless unsafe code is allowed.
    """
    try:
        return await check_source(language, source)
    except SandboxFailed as error:
        raise WrongState(f"The source cannot be checked: {error.failed.message}") from error
