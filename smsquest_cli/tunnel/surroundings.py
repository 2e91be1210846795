"""What is put around pyngrok while it works: environment, standard error, logging."""

from __future__ import annotations

import logging
import os
import threading
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_unproxied = threading.Lock()
_unproxied_depth = 0
_proxy_settings: dict[str, str | None] = {}


def silence_pyngrok() -> None:
    """Keep the agent's warnings and the options of an endpoint out of everybody's log.

    And the progress of a download off standard output, should pyngrok miss the agent after all.
    """
    from pyngrok import installer

    installer._print_progress_enabled = False  # noqa: SLF001
    logger = logging.getLogger("pyngrok")
    logger.propagate = False
    if not logger.handlers:  # without one, Python's handler of last resort writes to stderr
        logger.addHandler(logging.NullHandler())


@contextmanager
def standard_error(file: IO[bytes]) -> Iterator[None]:
    """Let a process that is started in the block write its errors to *file*, not on our screen."""
    try:
        ours = os.dup(2)
    except OSError:  # closed: there is no screen
        yield
        return
    os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(ours, 2)
        os.close(ours)


@contextmanager
def environment(**values: str | None) -> Iterator[None]:
    """Set variables of the environment during the block; a value of None leaves one as it is."""
    wanted = {name: value for name, value in values.items() if value is not None}
    former = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        _set_environment(former)


def _set_environment(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@contextmanager
def loopback_unproxied() -> Iterator[None]:
    """Keep pyngrok's requests to the agent, and the agent's to us, away from ``http_proxy``.

    Only during the block: on macOS and Windows the variable makes Python forget the system's
    proxies.
    """
    global _unproxied_depth  # noqa: PLW0603
    with _unproxied:
        if _unproxied_depth == 0:
            former = {name: os.environ.get(name) for name in ("no_proxy", "NO_PROXY")}
            _proxy_settings.update(former)
            known = former["no_proxy"] or former["NO_PROXY"]
            direct = ",".join(filter(None, (known, "127.0.0.1,localhost")))
            os.environ.update({"no_proxy": direct, "NO_PROXY": direct})
        _unproxied_depth += 1
    try:
        yield
    finally:
        with _unproxied:
            _unproxied_depth -= 1
            if _unproxied_depth == 0:
                _set_environment(_proxy_settings)
