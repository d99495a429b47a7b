"""Whether a text that was filled in is full."""

from __future__ import annotations

import re

_PLACEHOLDER = re.compile(r"\{\{\s*(.*?)\s*\}\}")


def blanks(template: str, text: str) -> list[str]:
    """The placeholders of the template that left nothing in the text.

    A text that the template cannot have given is blank in all of them.
    """
    names = _PLACEHOLDER.findall(template)
    pattern = "(.*?)".join(re.escape(part) for part in _PLACEHOLDER.split(template)[::2])
    match = re.fullmatch(pattern, text, re.DOTALL)
    if match is None:
        return names or [template]
    return [name for name, value in zip(names, match.groups(), strict=True) if not value.strip()]
