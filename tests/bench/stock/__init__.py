"""What an installation is filled with before it is measured; called by `tests.bench.inside`."""
