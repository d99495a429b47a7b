"""Structured logs: text for people, one `action` key and facts for machines."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

_CHATTY = ("alembic", "httpx", "rq")
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S.%f")[:-3]
        facts = " ".join(f"{key}={value}" for key, value in _facts(record).items())
        line = f"{at} {record.levelname:<7} {record.getMessage()}" + (f"  {facts}" if facts else "")
        return line + (f"\n{self.formatException(record.exc_info)}" if record.exc_info else "")


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat()
        line = {"at": at, "level": record.levelname, "logger": record.name, "message": record.getMessage()}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line | _facts(record), default=str)


def _facts(record: logging.LogRecord) -> dict[str, object]:
    return {key: value for key, value in vars(record).items() if key not in _STANDARD}


def _is_worth_a_line(record: logging.LogRecord) -> bool:
    """Some libraries say everything they do, and RQ sets the level of its loggers itself."""
    return record.levelno >= logging.WARNING or not record.name.startswith(_CHATTY)


def configure(level: str = "INFO", as_json: bool = False) -> None:
    """Sends every log line of this process to stderr, as text or as one JSON object a line."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if as_json else _Text())
    handler.addFilter(_is_worth_a_line)
    logging.basicConfig(level=level, handlers=[handler], force=True)


class Log:
    """A logger whose lines carry an `action` and facts: `log.info("sweep", "woke 3 tasks", woken=3)`."""

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def debug(self, action: str, text: str = "", **facts: object) -> None:
        self._write(logging.DEBUG, action, text, facts)

    def info(self, action: str, text: str = "", **facts: object) -> None:
        self._write(logging.INFO, action, text, facts)

    def warning(self, action: str, text: str = "", **facts: object) -> None:
        self._write(logging.WARNING, action, text, facts)

    def exception(self, action: str, text: str = "", **facts: object) -> None:
        self._logger.error(text or action, extra={"action": action, **facts}, exc_info=True)

    def _write(self, level: int, action: str, text: str, facts: dict[str, object]) -> None:
        if self._logger.isEnabledFor(level):
            self._logger.log(level, text or action, extra={"action": action, **facts})
