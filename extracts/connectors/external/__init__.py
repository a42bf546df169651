"""Reads the extract folders that other producers leave."""
