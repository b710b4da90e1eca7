"""Codes of operations."""
