"""Other engines and queues, each in an environment of its own."""
