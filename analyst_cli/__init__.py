"""The `agnes` command: a thin client that speaks HTTP and imports nothing of the server."""

VERSION = "1.0.0"
