"""Contracts: messages, topics and keys, settings, money, ids, error kinds. Imports nothing else of ours."""
