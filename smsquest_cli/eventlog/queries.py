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
    parts, values = [], []
    for walk in _walks(wanted):
        rest, rest_values = _conditions(wanted, walk.covers)
        terms = " AND ".join([*walk.terms, "position > ?", *rest])
        parts.append(f"{_FIELDS} {walk.index} WHERE {terms}")
        values += [*walk.values, after, *rest_values]
    return " UNION ALL ".join(parts) + " ORDER BY position LIMIT ?", [*values, limit]


@dataclass(frozen=True, slots=True)
class _Walk:
    """A way through the log along an *index*, and what of a filter it *covers*."""

    index: str
    terms: Sequence[str] = ()
    values: Sequence[object] = ()
    covers: str = ""


def _walks(wanted: Filter) -> Iterator[_Walk]:
    """The walks that together find all that is wanted."""
    if wanted.sids is not None:
        terms = [f"sid IN ({_marks(wanted.sids)})"]
        yield _Walk("INDEXED BY events_sid", terms, [*wanted.sids], "sids")
    elif wanted.number is not None:
        number = wanted.number
        yield _Walk("INDEXED BY events_sender", ["sender = ?"], [number], "number")
        terms = ["recipient = ?", "sender IS NOT ?"]
        yield _Walk("INDEXED BY events_recipient", terms, [number, number], "number")
    elif wanted.types is not None and COMMON.isdisjoint(wanted.types):
        for name in sorted(wanted.types):
            yield _Walk("INDEXED BY events_rare", ["type = ?", RARE], [name], "types")
    else:
        yield _Walk("NOT INDEXED")


def _conditions(wanted: Filter, covered: str) -> tuple[list[str], list[object]]:
    """The conditions that a walk which has *covered* one does not check, and their values."""
    terms: list[str] = []
    values: list[object] = []
    if wanted.run is not None:
        terms.append("run = ?")
        values.append(wanted.run)
    if wanted.since is not None:
        terms.append("ts >= ?")
        values.append(wanted.since)
    if wanted.types is not None and covered != "types":
        terms.append(f"type IN ({_marks(wanted.types)})")
        values += wanted.types
    if wanted.number is not None and covered != "number":
        terms.append("? IN (sender, recipient)")
        values.append(wanted.number)
    return terms, values


def _marks(values: Collection[str]) -> str:
    return ", ".join("?" * len(values))
