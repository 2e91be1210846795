"""What a reader asks for, as SQL that a million rows do not slow down.

Each query walks one index (or the table) in the order of the positions and stops at its limit;
if several values are asked for, SQLite merges one such walk for each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

HEAD: Final = "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0)"
# The records that tell about a message, oldest first.
HISTORY: Final = (
    "SELECT record FROM events INDEXED BY events_sid "
    "WHERE sid = ? AND type IN ('inbound', 'status', 'message') ORDER BY position"
)
# For an inbound message the first request is Twilio's own; of callbacks the newest says most, but
# one that came again or late may be ours, replayed and edited.
REQUEST: Final = (
    "SELECT request, body FROM events INDEXED BY events_sid "
    "WHERE sid = ? AND request IS NOT NULL "
    "ORDER BY type = 'inbound' DESC, "
    """instr(record, '"duplicate":true') OR instr(record, '"stale":true'), """
    "CASE type WHEN 'inbound' THEN position ELSE -position END "
    "LIMIT 1"
)
SIDS: Final = (
    "SELECT sid FROM events INDEXED BY events_sid WHERE sid >= ? AND sid < ? "
    "GROUP BY sid ORDER BY max(position) DESC LIMIT 20"
)
NEXT_TS: Final = "SELECT ts FROM events WHERE position > ? ORDER BY position LIMIT 1"
FIRST_SINCE: Final = "SELECT min(position) FROM events INDEXED BY events_ts WHERE ts >= ?"

COMMON: Final = frozenset({"inbound", "reply", "status", "message"})
RARE: Final = "type NOT IN ('inbound', 'reply', 'status', 'message')"

_FIELDS: Final = "SELECT position, run, record, request IS NOT NULL FROM events"


@dataclass(frozen=True, slots=True)
class Filter:
    """The conditions that an event must meet to be read; None means no condition."""

    types: Collection[str] | None = None
    run: str | None = None
    sids: Collection[str] | None = None
    since: int | None = None  # ms since 1970
    number: str | None = None

    @property
    def fits_nothing(self) -> bool:
        """Whether no event can meet it, because the types or the SIDs are empty."""
        return any(some is not None and not some for some in (self.types, self.sids))


def select(wanted: Filter, after: int, limit: int) -> tuple[str, list[object]]:
    """The query for the first *limit* rows after *after* that fit *wanted*, and its values."""
    if wanted.fits_nothing:
        return f"{_FIELDS} WHERE position < 0", []
    rest, rest_values = _conditions(wanted)
    parts, values = [], []
    for index, condition, own in _walks(wanted):
        terms = " AND ".join([*condition, "position > ?", *rest])
        parts.append(f"{_FIELDS} {index} WHERE {terms}")
        values += [*own, after, *rest_values]
    return " UNION ALL ".join(parts) + " ORDER BY position LIMIT ?", [*values, limit]


def _walks(wanted: Filter) -> Iterator[tuple[str, list[str], Sequence[object]]]:
    """The walks that together find all that is wanted: index, conditions on it, their values."""
    if wanted.sids is not None:
        yield "INDEXED BY events_sid", [f"sid IN ({_marks(wanted.sids)})"], [*wanted.sids]
    elif wanted.number is not None:
        number = wanted.number
        yield "INDEXED BY events_sender", ["sender = ?"], [number]
        recipient = ["recipient = ?", "sender IS NOT ?"]
        yield "INDEXED BY events_recipient", recipient, [number, number]
    elif wanted.types is not None and COMMON.isdisjoint(wanted.types):
        for name in sorted(wanted.types):
            yield "INDEXED BY events_rare", ["type = ?", RARE], [name]
    else:
        yield "NOT INDEXED", [], []


def _conditions(wanted: Filter) -> tuple[list[str], list[object]]:
    """The conditions that the walk itself does not check, and their values."""
    terms: list[str] = []
    values: list[object] = []
    walk = next(_walks(wanted))[0]
    if wanted.run is not None:
        terms.append("run = ?")
        values.append(wanted.run)
    if wanted.since is not None:
        terms.append("ts >= ?")
        values.append(wanted.since)
    if wanted.types is not None and "events_rare" not in walk:
        terms.append(f"type IN ({_marks(wanted.types)})")
        values += wanted.types
    if wanted.number is not None and "events_sid" in walk:
        terms.append("? IN (sender, recipient)")
        values.append(wanted.number)
    return terms, values


def _marks(values: Collection[str]) -> str:
    return ", ".join("?" * len(values))
