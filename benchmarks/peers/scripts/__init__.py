"""What runs inside a peer's environment: its workers' code, and a driver that the harness talks to."""
