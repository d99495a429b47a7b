"""What a worker that is started here would offer, as JSON: `python -m headrace_worker.offer`.

Users' modules are imported in this process, so that no other has to.
"""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout

from headrace import config, log
from headrace.activities.registry import REGISTRY
from headrace.errors import InvalidSettings
from headrace.graph.json_types import JsonObject
from headrace.nodes.builtin import builtin
from headrace_worker.discovery import discover, offer_only


def offer() -> JsonObject:
    """The declarations of all activities that the settings lead to, and what could not be loaded."""
    settings = config.load()
    log.configure("CRITICAL")  # the caller tells the problems
    builtin()
    problems = discover(settings.task_module_names, settings.task_folders)
    offer_only(settings.activity_names)
    return {
        "activities": [one.declaration.as_json() for one in REGISTRY],
        "problems": [one.as_json() for one in problems],
    }


if __name__ == "__main__":
    try:
        with redirect_stdout(sys.stderr):  # what modules print while they are imported
            found = offer()
    except InvalidSettings as error:
        sys.exit(f"headrace worker: {error}")
    sys.stdout.write(json.dumps(found))
