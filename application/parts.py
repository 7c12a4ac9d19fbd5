"""What a log is put together from; the composition root in the adapters makes it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from attrs import Factory, frozen

from ..domain.events import Record
from .arrivals import Arrivals
from .computing import ComputingOptions
from .definitions import Definitions, from_settings
from .ports import Clock, EventStore, Views
from .precedence import Precedence
from .product_ports import CaptureLog, CatchingUp, ProductStore
from .result_cache import NoResults, ResultStore
from .slots import Slots


def _nothing() -> None:
    return None


@frozen
class Parts:
    """What a log is put together from; made by a composition root in the adapters."""

    store: EventStore
    views: Views
    capture_log: CaptureLog
    product_store: Callable[[], ProductStore]
    """Gives the analytical store, opening it on the first call."""
    clock: Clock
    past_views: Callable[[Iterable[Record]], Views]
    """Builds views in memory over the given records."""
    close: Callable[[], None]
    arrivals: Arrivals = Factory(Arrivals)
    """Where the analytical store notes what it takes over."""
    results: ResultStore = Factory(NoResults)
    """Keeps calculated results."""
    computing: ComputingOptions = Factory(ComputingOptions)
    precedence: Precedence = Factory(Precedence)
    """Lets what can wait do so while something is calculated."""
    is_quiet: Callable[[], bool] = lambda: True
    """Whether the machine has nothing else to do."""
    definitions: Definitions = from_settings
    """Says what the names in queries stand for."""
    definitions_over: Callable[[Views], Definitions] = lambda _: from_settings
    """Gives what says so over other views."""
    slots: Slots = Factory(lambda own: Slots(own.computing.limits), takes_self=True)
    """How many calculations run at once, those over the past among them."""
    catching_up: Callable[[], CatchingUp | None] = _nothing
    """Tells how far the analytical store has got in taking events over."""
    known_events: Callable[[datetime], Callable[[], ProductStore]] | None = None
    """Gives what gives the analytical store as it was at a moment."""
    is_past: bool = False
    """Whether these are the parts of a past state, which never changes."""
    place: str = "a log"
    """Where it is, for people."""
