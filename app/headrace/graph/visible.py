"""Texts of strangers on their way to somebody's terminal."""

from __future__ import annotations

# All controls of C0, C1 and of the direction of writing, but the tab and the end of a line. They colour and
# move what others have written, set titles and clipboards, and let a line read as another one.
_CONTROLS = (
    *(one for one in range(0x20) if one not in b"\t\n"),
    *range(0x7F, 0xA0),
    *(0x061C, 0x200E, 0x200F),
    *range(0x202A, 0x202F),
    *range(0x2066, 0x206A),
)
_SHOWN = {one: f"\\u{one:04x}" for one in _CONTROLS}


def visible(text: str) -> str:
    """The text with each control written as in JSON, as `\\u001b`: in JSON it means what it meant."""
    return text.translate(_SHOWN)
