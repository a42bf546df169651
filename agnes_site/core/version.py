"""The version of the server; the client and the distribution carry the same."""

VERSION = "1.0.0"
