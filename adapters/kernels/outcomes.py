"""What became of the units of a funnel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from attrs import frozen

from .checkpoint import checkpoint
from .histories import Flags, Ints

NEVER = np.iinfo(np.int64).min
"""The time of a step that was not taken."""


@frozen(eq=False)
class Outcomes:
    """Those units that are in the funnel."""

    unit: Ints
    """Which unit of the history each is, ascending."""
    furthest: Ints
    """The furthest step that each took, 0-based."""
    times: Ints
    """Per step (first axis), when each took it, microseconds since 1970; NEVER for steps not taken."""

    def took(self, step: int) -> Flags:
        """Return who took the step."""
        return np.asarray(self.times[step] != NEVER)


def joined(parts: Sequence[tuple[Outcomes, Ints]]) -> tuple[Outcomes, Ints]:
    """Return the outcomes of several sets of actors, and who they are, as those of all."""
    if len(parts) == 1:
        return parts[0]
    checkpoint()
    furthest = np.concatenate([one.furthest for one, _ in parts])
    times = np.concatenate([one.times for one, _ in parts], axis=1)
    return Outcomes(np.arange(len(furthest)), furthest, times), np.concatenate([actors for _, actors in parts])
