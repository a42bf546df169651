"""Connector for SQLite files, through DuckDB."""
