"""The command line, called as its program calls it, and an API for it to talk to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.cli.main import main
from headrace.config import Settings
from support.scripted_api import Api, scripted_api
from support.terminal import Answer, Cli


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cli:
    """Runs a command in an empty folder and an environment without settings."""
    monkeypatch.chdir(tmp_path)
    for setting in Settings.model_fields.values():
        monkeypatch.delenv(str(setting.validation_alias), raising=False)

    def run(*arguments: str) -> Answer:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        said = capsys.readouterr()
        return Answer(int(ended.value.code or 0), said.out, said.err)

    return run


@pytest.fixture
def api() -> Iterator[Api]:
    with scripted_api() as served:
        yield served
