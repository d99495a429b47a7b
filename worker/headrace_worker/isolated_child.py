"""A child process that runs isolated code, seen from its worker."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from typing import cast

from headrace.activities.notes import Hear
from headrace.local.leash import identity, signal_group
from headrace_worker.isolated_wire import LENGTH, MOST_BYTES, Answer, Call, Terms, packed, unpacked

_LAST_WORDS_SECONDS = 0.2
_PATIENCE_SECONDS = 1.0


class ChildDied(Exception):
    """A child ended before its answer. status: as of `subprocess`, -n for signal n."""

    def __init__(self, status: int) -> None:
        super().__init__(_death(status))
        self.status = status


class Nonsense(Exception):
    """A child sent what is no answer."""


class Child:
    """One process, and those that its code starts. One call at a time.

    It must be started in a thread that lives as long as it: by the kernel's rule, the child ends with it.
    """

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        leash: int,
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        self._process = process
        self._leash = leash
        self._reader, self._writer = streams
        self._end = asyncio.create_task(self._wait_for_the_end())

    @classmethod
    async def start(cls, memory: int) -> Child:
        """Starts one whose code may use so many bytes of address space. Raises OSError."""
        ours, theirs = socket.socketpair()
        held_by, leash = os.pipe()
        terms = Terms(channel=theirs.fileno(), worker=os.getpid(), memory=memory, path=sys.path)
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "headrace_worker.isolate", json.dumps(terms)),
                stdin=held_by,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # a group of its own; Ctrl-C in a terminal is for the worker
            )
            return cls(process, leash, await asyncio.open_connection(sock=ours))
        except BaseException:
            os.close(leash)  # a process that was started all the same ends by this
            ours.close()
            raise
        finally:
            os.close(held_by)
            theirs.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Asks the system: this loop hears of an end a moment later."""
        return not self._end.done() and identity(self.pid) != ""

    async def call(self, call: Call, hear: Hear | None = None) -> Answer:
        """hear: what takes the notes that the code sends before its answer.

        Raises ChildDied or Nonsense, and TypeError or ValueError for a payload that is not JSON.
        After any error, as after a cancellation, the child must not be called again.
        """
        frame = packed(call)
        try:
            self._writer.write(frame)
            await self._writer.drain()
            return await self._answer(hear)
        except (asyncio.IncompleteReadError, OSError):
            raise ChildDied(await self.gone()) from None

    def let_go(self) -> None:
        """Has the child killed, with all that its code has started; `gone` says when."""
        if self._leash >= 0:
            os.close(self._leash)
            self._leash = -1

    async def gone(self) -> int:
        """Waits for the end, for a moment before letting go; gives the exit status."""
        if self._leash >= 0:  # it may be about to end, and its status says of what
            await asyncio.wait({self._end}, timeout=_LAST_WORDS_SECONDS)
            self.let_go()
        await asyncio.wait({self._end}, timeout=_PATIENCE_SECONDS)
        if not self._end.done():  # the code has stopped its guard, perhaps
            signal_group(self.pid, signal.SIGKILL)
        return await asyncio.shield(self._end)

    async def _answer(self, hear: Hear | None) -> Answer:
        while isinstance(message := await self._message(), dict) and message.keys() == {"note"}:
            if hear is not None:
                hear(message["note"])
        if not isinstance(message, dict) or message.keys() != Answer.__annotations__.keys():
            raise Nonsense("a message that is no answer")
        return cast(Answer, message)

    async def _message(self) -> object:
        (size,) = LENGTH.unpack(await self._reader.readexactly(LENGTH.size))
        if size > MOST_BYTES:
            raise Nonsense(f"a message of {size} bytes")
        try:
            return unpacked(await self._reader.readexactly(size))
        except ValueError as error:
            raise Nonsense(str(error)) from error

    async def _wait_for_the_end(self) -> int:
        status = await self._process.wait()
        self.let_go()
        signal_group(self.pid, signal.SIGKILL)  # what a guard that was killed itself has left behind
        self._writer.transport.abort()  # a process that got away may keep the channel open
        return status


def _death(status: int) -> str:
    if status >= 0:
        return f"the process exited with status {status} before it answered"
    name = signal.Signals(-status).name if -status in signal.valid_signals() else f"signal {-status}"
    hint = ", perhaps for lack of memory" if -status == signal.SIGKILL else ""
    return f"the process was killed by {name}{hint}"
