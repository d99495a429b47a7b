"""Tasks of this project. A worker imports each file of this folder."""

from headrace import worker_task


@worker_task("greet", timeout="10s", retries=2)
def greet(name: str = "world") -> dict:
    """Says hello to somebody."""
    return {"text": f"Hello, {name}!"}
