"""Stripe objects as templates read them: fields by name, known to the hub or not, and nothing else of Python's.

Nothing is copied: an invoice of a hundred lines costs a template only what it looks at.
"""

from collections.abc import Iterator, Mapping

from schemas.stripe_objects import StripeObject


class StripeView(Mapping[str, object]):
    """A Stripe object by its fields; members of it are views too, lists are lists."""

    __slots__ = ("_object",)

    def __init__(self, stripe_object: StripeObject) -> None:
        self._object = stripe_object

    def __getitem__(self, name: str) -> object:
        if name in type(self._object).model_fields:
            return show(getattr(self._object, name))
        return show((self._object.model_extra or {})[name])

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._object)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __str__(self) -> str:
        return ""


def show(value: object) -> object:
    """Return a value of a Stripe object as templates see it."""
    if isinstance(value, StripeObject):
        return StripeView(value)
    return [show(member) for member in value] if isinstance(value, tuple) else value
