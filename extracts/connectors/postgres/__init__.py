"""Connector for PostgreSQL, through DuckDB."""
