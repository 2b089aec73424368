"""What the switch has, as far as it was read: rows, revisions, registrations, ticks. Fed by replies and events.

In: parsed replies and gateway events. Out: `Loaded` values for the plan. Nothing in here outlives the connection:
after a reconnect everything is read anew (fact 24), so a switch's restart needs no memory of ours.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from sipgateway.esl.replies import GatewayEvent, GatewayRow, SofiaStatus
from sipgateway.reconcile.registration import Registration, Verdict
from sipgateway.reconcile.state import Loaded, Wanted
from sipgateway.reconcile.tick import Delay, Tick

#: CUSTOM events that are listened to (facts 22, 30, 35).
EVENTS = (
    "sofia::gateway_add",
    "sofia::gateway_delete",
    "sofia::gateway_state",
    "sofia::gateway_invalid_digest_req",
    "sofia::profile_start",
)

#: A marked copy is gone within two ticks (fact 14); one that is still listed after this many seconds is a ghost.
MARK_LIFE = 5.0


@dataclass(slots=True)
class SwitchView:
    """The switch as it was last seen. Times are seconds of the event loop's clock.

    Attributes:
        rows: gateway name -> (profile, state) of each row of `sofia status`, newest first.
        revisions: gateway name -> `sipgw_revision` of the copy that look-ups find.
        profiles: profile name -> its state.
        aliases: other name of a profile -> the name under which its gateways are listed.
        registrations: gateway name -> what its events amount to.
        ticks: profile name -> when it ticks.
        marks: gateway name -> how many marked copies each profile has whose `gateway_delete` did not come yet (24b).
        unread: names whose revision must be read before the next plan.
        changed: names of which something that a plan depends on may have changed since somebody emptied this.
        answers: how many answers to REGISTER came, by their class (`4xx`).
        stale: the whole of it must be read again.
    """

    rows: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    revisions: dict[str, str | None] = field(default_factory=dict)
    profiles: dict[str, str] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    registrations: dict[str, Registration] = field(default_factory=dict)
    ticks: dict[str, Tick] = field(default_factory=dict)
    marks: dict[str, Counter[str]] = field(default_factory=dict)
    unread: set[str] = field(default_factory=set)
    changed: set[str] = field(default_factory=set)
    answers: Counter[str] = field(default_factory=Counter)
    stale: bool = True
    _marked_at: dict[str, float] = field(default_factory=dict)
    _delay: Delay = field(default_factory=Delay)
    _said: int | None = None

    def same(self, body: str) -> bool:
        """Whether `sofia status` says what it said last time, and nothing was heard of or done since that."""
        said, self._said = self._said, hash(body)
        return said == self._said and not self.marks

    def status(self, status: SofiaStatus, now: float) -> None:
        """Takes a whole `sofia status` in. Names that were not there before are to be read."""
        self.profiles = {row.name: row.state for row in status.profiles}
        aliases = {row.name: row.profile for row in status.aliases if row.name not in self.profiles}
        rows: dict[str, list[tuple[str, str]]] = {}
        for row in status.gateways:
            rows.setdefault(row.name, []).append((row.profile, row.state))
        self.unread |= rows.keys() - self.revisions.keys()
        for name in [n for n in self.revisions if n not in rows]:
            self.forget(name)
        self.changed |= {n for n, found in rows.items() if self.rows.get(n) != found} | self.rows.keys() - rows.keys()
        if aliases != self.aliases:
            self.changed |= rows.keys()
        self.aliases, self.rows = aliases, rows
        self._expire_marks(now)
        for row in _newest(status.gateways):
            if not self.marked(row.name):
                known = self.registrations.get(row.name, Registration())
                self.registrations[row.name] = known.seen(row.state, now)
        self.stale = False

    def read(self, name: str, revision: str | None) -> None:
        """Takes in the revision that read-back gave for a name; None for one that is not listed is no revision."""
        self.unread.discard(name)
        self.changed.add(name)
        if revision is not None:
            self.revisions[name] = sys.intern(revision)  # the text that is wanted, mostly
        elif name in self.rows:
            self.revisions[name] = None
        else:
            self.revisions.pop(name, None)

    def unfindable(self, name: str, now: float) -> None:
        """No look-up finds this name, though it is listed: all its copies are marked, by somebody else (24b, 24c)."""
        self._said = None
        copies = Counter(profile for profile, _ in self.rows.get(name, ()))
        if copies:
            self.marks[name] = self.marks.get(name, Counter()) | copies
            self._marked_at.setdefault(name, now)
        self.read(name, None)

    def profile_of(self, name: str) -> str:
        """The name under which the gateways of this profile are listed: an alias reaches it too."""
        return self.aliases.get(name, name)

    def listed(self, wanted: Mapping[str, Wanted]) -> Mapping[str, Wanted]:
        """The same gateways, each with the name under which its profile's gateways are listed."""
        if not self.aliases:
            return wanted
        return {name: replace(one, profile=self.profile_of(one.profile)) for name, one in wanted.items()}

    def is_on(self, name: str, profile: str) -> bool:
        """Whether the live copy of this name is on this profile."""
        return any(where == profile for where, _ in self._live(name))

    def forget(self, name: str) -> None:
        """The switch has no gateway of this name any more."""
        self._said = None
        self.unread.discard(name)
        self.revisions.pop(name, None)
        self.registrations.pop(name, None)
        self.rows.pop(name, None)
        self.changed.add(name)

    def killed(self, name: str, now: float) -> None:
        """`killgw` of this name was answered with +OK: the copy that look-ups found is marked (fact 14)."""
        self._said = None
        live = self._live(name)
        if live:
            self.marks.setdefault(name, Counter())[live[0][0]] += 1
            self._marked_at[name] = now
        self.registrations.pop(name, None)
        self.changed.add(name)

    def loaded_anew(self, name: str, profile: str, revision: str, *, registers: bool, now: float) -> None:
        """Read-back proved a new copy of this name."""
        self._said = None
        state = "UNREGED" if registers else "NOREG"
        self.rows.setdefault(name, []).insert(0, (self.profile_of(profile), state))
        self.read(name, revision)
        if not self.marked(name):
            self.registrations[name] = self.registrations.get(name, Registration()).seen(state, now)

    def registers_anew(self, name: str, now: float) -> None:
        """A `register` was sent to it: a failure that it came from, its predecessor's perhaps (17a), is over."""
        self._said = None
        if self.registrations.get(name, Registration()).verdict is not Verdict.REGISTERED:
            self.registrations[name] = Registration().seen("UNREGED", now)

    def marked(self, name: str) -> bool:
        """Whether a marked copy of this name is still there: nothing that its events say counts (fact 17a)."""
        return name in self.marks

    def leaving(self, name: str, profile: str) -> bool:
        """Whether a marked copy of this name is still there on another profile than this one."""
        return any(marked != profile for marked in self.marks.get(name, ()))

    def loaded(self, names: Iterable[str] | None = None) -> dict[str, Loaded]:
        """What is loaded of these names, of all without any, marked copies left out."""
        found: dict[str, Loaded] = {}
        for name in self.rows if names is None else names:
            live = self._live(name)
            if live:
                found[name] = Loaded(name, tuple(p for p, _ in live), live[0][1], self.revisions.get(name))
        return found

    def copies(self, name: str) -> int:
        """How many live copies of this name there are; one in most cases, so this is quick."""
        return len(self._live(name))

    def proved(self, wanted: Mapping[str, Wanted]) -> set[str]:
        """Those of these gateways that are loaded as they are wanted. Asked for each report, so it makes no values."""
        found: set[str] = set()
        for name, want in wanted.items():
            if name in self.rows and self.revisions.get(name) == want.revision:
                profile = self.aliases.get(want.profile, want.profile)
                for where, _ in self._live(name):
                    if where == profile:
                        found.add(name)
                        break
        return found

    def event(self, event: GatewayEvent, now: float) -> None:
        """Takes a gateway event in (fact 22)."""
        self._said = None
        name = event.gateway
        if event.kind == "state":
            self._state(event, now)
        elif event.kind == "delete":
            self._tick(event.profile, event, now)
            self._deleted(event.profile or "", name, now)
        elif event.kind == "add":
            if name not in self.revisions and name not in self.rows:
                self.stale = True  # somebody else's rescan; our own are followed by a read-back
        elif event.kind == "invalid_digest_req":
            if not self.marked(name):
                known = self.registrations.get(name, Registration())
                self.registrations[name] = known.ignored_challenge(now)
        else:  # a profile came back: what it loaded, it loaded from the files of that moment (fact 30)
            for listed, rows in self.rows.items():
                if any(profile == event.profile for profile, _ in rows):
                    self.revisions.pop(listed, None)
            self.stale = True

    def _state(self, event: GatewayEvent, now: float) -> None:
        name, state = event.gateway, event.state or ""
        known = self.registrations.get(name, Registration())
        live = self._live(name)
        if state == "REGED" and known.state == "REGISTER" and live:
            self._tick(live[0][0], event, now)
        if event.status is not None and event.status >= 200:
            self.answers[f"{event.status // 100}xx"] += 1
        if self.marked(name):
            return
        up = None if event.ping_status is None else event.ping_status == "UP"
        self.registrations[name] = known.event(state, up=up, status=event.status, phrase=event.phrase or "", now=now)
        rows = self.rows.get(name)
        if rows:
            rows[0] = (rows[0][0], state)

    def _deleted(self, profile: str, name: str, now: float) -> None:
        rows = self.rows.get(name, [])
        for index in range(len(rows) - 1, -1, -1):  # the oldest copy of that profile went
            if rows[index][0] == profile:
                del rows[index]
                break
        self.changed.add(name)
        if name in self.marks and profile in self.marks[name]:
            self._unmark(name, profile)
        else:  # somebody else killed it, and may have loaded another version at once
            self.revisions.pop(name, None)
            self.stale = True
        if not rows:
            if self.revisions.get(name) is not None:
                self.stale = True  # a proved copy was there: the table was younger than this event
            self.forget(name)
        elif not self.marked(name):
            self.registrations[name] = self.registrations.get(name, Registration()).seen(rows[0][1], now)

    def _tick(self, profile: str | None, event: GatewayEvent, now: float) -> None:
        if not profile:
            return
        at = now
        if event.timestamp:
            # The switch's own clock says when; the least delay seen lately maps it to ours.
            self._delay = self._delay.seen(now - event.timestamp / 1e6, now)
            at = event.timestamp / 1e6 + self._delay.value
        known = self.ticks.get(profile)
        self.ticks[profile] = Tick(at) if known is None or not known.trusted(now) else known.seen(at)

    def _live(self, name: str) -> list[tuple[str, str]]:
        """Rows of this name without the marked copies, which are the oldest of their profile."""
        marks = self.marks.get(name)
        if marks is None:
            return self.rows.get(name, [])
        live = list(self.rows.get(name, ()))
        for profile, count in marks.items():
            for _ in range(count):
                for index in range(len(live) - 1, -1, -1):
                    if live[index][0] == profile:
                        del live[index]
                        break
        return live

    def _unmark(self, name: str, profile: str) -> None:
        self.marks[name][profile] -= 1
        if self.marks[name][profile] <= 0:
            del self.marks[name][profile]
        if not self.marks[name]:
            del self.marks[name], self._marked_at[name]

    def _expire_marks(self, now: float) -> None:
        for name in [n for n, at in self._marked_at.items() if now - at > MARK_LIFE]:
            del self.marks[name], self._marked_at[name]
            self.changed.add(name)


def _newest(rows: Iterable[GatewayRow]) -> Iterable[GatewayRow]:
    seen: set[str] = set()
    for row in rows:
        if row.name not in seen:
            seen.add(row.name)
            yield row


def states(view: SwitchView) -> Mapping[str, int]:
    """How many gateways are in each state, by the switch's words."""
    return Counter(rows[0][1] for rows in view.rows.values() if rows)
