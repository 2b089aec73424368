"""When the keeper looks at what no event may have told of, and when at everything.

In: the time, and how much such a look took. Out: when the next is due.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

#: Seconds between looks at `sofia status` and at our files, which correct whatever events missed; more where they take
#: more than this share of a core, up to a limit.
RESYNC = 10.0
_SHARE, _MOST = 0.002, 120.0

#: Each so many such looks all gateways are compared anew, those too of which nothing was seen to change.
_WHOLE = 6


@dataclass(slots=True)
class Resync:
    """The next look.

    Attributes:
        at: when it is due, seconds of the event loop's clock.
        whole: whether all gateways are to be compared in it.
    """

    at: float = 0.0
    whole: bool = True
    _looks: int = 0
    _began: float = 0.0

    def due(self, now: float) -> bool:
        """Whether it is time; the look is taken to begin then."""
        if now < self.at:
            return False
        self.at = now + RESYNC
        self._looks += 1
        self.whole = self._looks % _WHOLE == 0
        self._began = time.process_time()
        return True

    def done(self, now: float) -> None:
        """The look found nothing to do, so what it took is the price of looking."""
        took = time.process_time() - self._began
        self.at = now + max(RESYNC, min(took / _SHARE, _MOST))
