"""Converting the words of a command line, without pydantic if nothing has to be converted.

Typer (from 0.29) lets pydantic convert every parameter, even one that was not given, and loading
it takes as long as all the rest of a short command (docs/performance.md). But a text needs no
conversion, nor does one of the words to choose from, and digits are simply a number; only the
rest is handed to Typer, which also says what is wrong with it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, get_args

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_DIGITS: Final = re.compile("[0-9]{1,9}")


def convert_late(parameters: Iterable[Any]) -> None:
    """Let the *parameters* of a command use pydantic only for what has to be converted."""
    for parameter in parameters:
        typers = getattr(parameter, "get_runtime_param", None)
        if typers is not None:  # before 0.29 Typer did not use pydantic
            late = _LateConversion(typers)
            parameter.get_runtime_param = lambda late=late: late


@dataclass(frozen=True, slots=True)
class _LateConversion:
    """Stands in for Typer's own conversion of a parameter, which *typers* makes if needed."""

    typers: Callable[[], Any]

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:  # noqa: ANN401 - as Typer's own
        """*value* as Typer's would convert it."""
        if value is None:
            return () if param.multiple or param.nargs == -1 else None
        plain = _plain(value, param.type_descriptor)
        return self.typers().coerce(value, param=param, ctx=ctx) if plain is None else plain


def _plain(value: Any, wanted: Any) -> Any:  # noqa: ANN401 - Typer's description of a type
    """*value* converted to *wanted*; None if Typer has to convert or refuse it."""
    rules = wanted.parameter_info
    if rules.parser is not None:
        return None
    if wanted.is_list:
        return list(value) if get_args(wanted.annotation) == (str,) else None
    if wanted.is_choice:
        return value if value in wanted.choices else None
    if wanted.annotation is str:
        return value
    if wanted.annotation is int and _DIGITS.fullmatch(str(value)):
        number = int(value)
        least, most = (number if end is None else end for end in (rules.min, rules.max))
        return number if least <= number <= most else None
    return None
