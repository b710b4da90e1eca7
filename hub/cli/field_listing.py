"""What a field mapping can name: fields of Business Central, and paths and filters of templates."""

from dataclasses import dataclass
from typing import Any

from hub.cli.wording import say, show_table
from mapping.bc_fields import BcField, list_fields
from mapping.field_values import decode_member
from mapping.mapping_checks import ENTITIES
from mapping.palette import PaletteField, list_palette
from mapping.templates import list_filters
from schemas.field_mappings import Section


@dataclass(frozen=True)
class FieldListing:
    """What was found, by section of the settings where it differs."""

    targets: tuple[tuple[Section, BcField], ...]
    sources: tuple[PaletteField, ...]

    def describe(self) -> dict[str, Any]:
        """Describe it for a script."""
        return {
            "targets": [
                {
                    "section": section,
                    "field": field.name,
                    "type": field.type,
                    "length": field.length,
                    "members": [decode_member(member) for member in field.members],
                    "record": field.record or None,
                }
                for section, field in self.targets
            ],
            "sources": [{"path": one.path, "kind": one.kind, "about": one.about} for one in self.sources],
            "filters": list(list_filters()),
        }

    def show(self) -> None:
        """Print it as two tables."""
        show_table(
            ("section", "field in Business Central", "holds"),
            [(section, field.name, _describe_type(field)) for section, field in self.targets],
            whole=("section", "field in Business Central"),
        )
        show_table(
            ("template reads", "kind", "meaning"),
            [(one.path, one.kind, one.about) for one in self.sources],
            whole=("template reads",),
        )
        say(("Filters: ", "bold"), ", ".join(list_filters()))


def list_mapping_names(word: str) -> FieldListing:
    """List what has the word in its name or meaning; everything for an empty word."""
    wanted = word.casefold()
    targets: list[tuple[Section, BcField]] = []
    for section, entity in ENTITIES.items():
        targets.extend((section, field) for field in list_fields(entity) if wanted in field.name.casefold())
    sources = (one for one in list_palette() if wanted in f"{one.path} {one.about}".casefold())
    return FieldListing(tuple(targets), tuple(sources))


def _describe_type(field: BcField) -> str:
    told = f"{field.type}, at most {field.length} characters" if field.length else field.type
    if field.members:
        told += ": " + ", ".join(decode_member(member) or "(blank)" for member in field.members)
    return f"{told}, of a record in {field.record}" if field.record else told
