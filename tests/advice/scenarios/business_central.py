"""Codes of business_central."""
