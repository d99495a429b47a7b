"""Options that many commands have."""

from __future__ import annotations

from pathlib import Path
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
DataDir: TypeAlias = Annotated[
    Path | None, typer.Option(help="Where the data lives; else HEADRACE_DATA_DIR, .headrace.")
]
OfWorkflow: TypeAlias = Annotated[
    str, typer.Option("--workflow", metavar="ID|NAME", help="Only those of this workflow.")
]
OfProject: TypeAlias = Annotated[str, typer.Option("--project", help="Only those of this project.")]
InProject: TypeAlias = Annotated[
    str, typer.Option("--project", help="The project that it is for, else the default one.")
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]
