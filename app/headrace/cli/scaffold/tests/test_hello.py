"""The task as the function that it is, and the workflow from its start to its end."""

import json
from pathlib import Path

from greet import greet
from headrace.testing import run_workflow

WORKFLOWS = Path(__file__).parents[1] / "workflows"


def test_greet():
    assert greet("Ada") == {"text": "Hello, Ada!"}


def test_hello():
    hello = json.loads((WORKFLOWS / "hello.json").read_text())

    result = run_workflow(hello, {"name": "Ada"})

    assert result.status == "succeeded"
    assert "Hello, Ada!" in result.lines
