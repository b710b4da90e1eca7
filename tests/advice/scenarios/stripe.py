"""Codes of stripe."""
