"""Options that many commands have."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer

Url: TypeAlias = Annotated[
    str,
    typer.Option(
        "--url",
        help="The API to talk to; else HEADRACE_URL, the stack that runs here, http://127.0.0.1:3000.",
        show_default=False,
    ),
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]
