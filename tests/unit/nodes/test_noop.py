"""The node that does nothing."""

from __future__ import annotations

import pytest

from headrace.graph.outcome import Done
from headrace.nodes.noop import Noop, NoopConfig

from .conftest import context

pytestmark = pytest.mark.anyio


async def test_its_output_is_its_input() -> None:
    assert await Noop().start(context({"n": [1, None]}), NoopConfig()) == Done({"n": [1, None]})
