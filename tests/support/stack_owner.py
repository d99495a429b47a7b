"""A process that owns an embedded stack, to be killed by tests: `python stack_owner.py DATA_DIR`.

It prints one JSON line once the stack runs, and ends in an orderly way at the end of its input.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from headrace.errors import HeadraceError
from headrace.local.stack import EmbeddedStack


def main(data_dir: str) -> int:
    try:
        with EmbeddedStack(Path(data_dir), need_postgres=True, need_redis=True) as stack:
            print(json.dumps({"database_url": stack.database_url, "redis_url": stack.redis_url}), flush=True)
            sys.stdin.read()
    except HeadraceError as error:
        print(json.dumps({"error": error.code, "message": error.message}), flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
