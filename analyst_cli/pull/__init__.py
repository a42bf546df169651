"""Bringing a workspace to the state of the server's manifest."""
