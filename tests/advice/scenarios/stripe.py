"""Codes of Stripe."""

from collections.abc import AsyncGenerator, Mapping
from typing import Any

Steps = AsyncGenerator[Mapping[str, Any]]
