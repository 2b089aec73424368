"""What the switch is held to when it does not take a new version: the version that last loaded well.

In: versions that the switch dropped, and the files that were set aside for them. Out: `Desired` with the last good
version in the place of each that is refused. A refused version is tried again when another is wanted, when its profile
or the switch was started anew (it may have TLS now), and after a long while; never sooner, because each try takes a
working trunk down.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from urllib.parse import unquote

from sipgateway.agent.refusal import Good, Refusal, file_breaks_switch, good_of, new_version_refused
from sipgateway.agent.store import Desired, Store
from sipgateway.agent.view import SwitchView
from sipgateway.errors import Finding, StorageError
from sipgateway.reconcile.plan import Kind, Step
from sipgateway.reconcile.state import Wanted
from sipgateway.render.layout import file_name

#: Seconds until a refused version is tried again though nothing changed, doubled each time, and the most of it.
RETRY_FIRST = 600.0
RETRY_MAX = 6 * 3600.0

#: What a step came to whose version the switch read and did not load.
_NOT_LOADED, _OTHER_LOADED = "NotLoaded", "OtherVersionLoaded"
_BREAKS = "FileBreaksSwitch"

#: The name under which refusals are kept across restarts: without it each restart would try, and take the trunk down.
_STATE = "refused"


@dataclass(slots=True)
class LastGood:
    """The refusals of one switch.

    Attributes:
        store: has the files that were set aside.
        ours: whether a revision was made with our key.
        refusals: by gateway name.
        dropped: gateway name -> revision that the switch did not load last: no version to go back to.
        changed: whether the refusals are other ones than those that were kept last.
    """

    store: Store
    ours: Callable[[str], bool]
    refusals: dict[str, Refusal] = field(default_factory=dict)
    dropped: dict[str, str] = field(default_factory=dict)
    changed: bool = False
    _profiles: dict[str, str] = field(default_factory=dict)
    _in_vain: dict[str, frozenset[str]] = field(default_factory=dict)
    _tries: dict[str, tuple[str, int]] = field(default_factory=dict)

    def instead(self, desired: Desired) -> Desired:
        """What the switch is held to: what is desired, with the last good version of what it refused."""
        if not self.refusals:
            return desired
        wanted, files = dict(desired.wanted), dict(desired.files)
        for name, refusal in tuple(self.refusals.items()):
            if desired.revision_of(name) != refusal.revision:
                continue
            files.pop(wanted.pop(name).path, None)
            if refusal.good is not None:
                wanted[name] = refusal.good.wanted
                files[refusal.good.wanted.path] = refusal.good.data
        return replace(desired, wanted=wanted, files=files, held=desired.held | self.withdrawn)

    @property
    def withdrawn(self) -> frozenset[str]:
        """Names whose file must not stand there, and of which nothing else is known: what is loaded of them stays."""
        return frozenset(name for name, refusal in self.refusals.items() if refusal.good is None)

    @property
    def unadopted(self) -> AbstractSet[str]:
        """Names whose loaded copy was killed in vain: another definition came back."""
        return self._in_vain.keys()

    def in_vain(self, step: Step) -> bool:
        """Whether the loaded copy was killed for this version before, and another definition came back."""
        return step.kill and step.revision in self._in_vain.get(step.name, ())

    def follows(self, name: str, profile: str) -> None:
        """Another version, or none, follows the one that this profile has. Of several unproved the first counts."""
        self._profiles.setdefault(name, profile)

    def not_taken(self, step: Step, why: Finding, desired: Desired, now: float) -> Finding:
        """A step failed: when the switch read the version and did not load it, the last good one takes its place.

        Args:
            step: that failed.
            why: as the executor says it.
            desired: what is wanted.
            now: seconds of the event loop's clock.

        Returns:
            What is said of the gateway.
        """
        name, revision = step.name, step.revision or ""
        if step.adopts or (step.kill and why.code == _OTHER_LOADED):
            self._in_vain[name] = self._in_vain.get(name, frozenset()) | {revision}
        if why.code not in {_NOT_LOADED, _OTHER_LOADED} or (why.code == _OTHER_LOADED and not step.kill):
            return why  # one that was loaded meanwhile is killed for it first
        self.dropped[name] = revision
        if name in self.refusals:  # that was the last good one: from now on both are as bad
            self.store.release(name)
            self.try_again([name])
            return why
        wanted = desired.wanted.get(name)
        if wanted is None or wanted.revision != revision:  # another version is wanted by now
            return why
        if not self.store.stands(wanted.path, desired.files[wanted.path]):  # somebody took the file away: no refusal
            self.store.forget()
            return why
        good = self._before(name, revision, desired)
        if good is None:
            return why
        if name in self._in_vain:  # what defeated the new version would defeat the last good one
            self._in_vain[name] |= {good.wanted.revision}
        finding = new_version_refused(name, why) if why.code == _NOT_LOADED else why
        self._refuse(name, revision, finding, good, now)
        return finding

    def breaks(self, step: Step, words: str, desired: Desired, now: float) -> Finding:
        """The switch's own reader refuses the file of this version; arguments and result as of `not_taken`."""
        name, revision = step.name, step.revision or ""
        self.dropped[name] = revision
        good = self._before(name, revision, desired)
        finding = file_breaks_switch(name, words, kept=good is not None)
        if desired.revision_of(name) == revision:
            self._refuse(name, revision, finding, good, now)
        return finding

    def worded(self, step: Step, view: SwitchView) -> Step:
        """A step that puts the last good version back, as such. Its own old copy may still be un-registering (16)."""
        if step.name not in self.refusals:
            return step
        why = "the switch did not take its new version; the last good one is put back"
        registered = step.registers and view.marked(step.name)
        return replace(step, kind=Kind.REPAIR, registered=registered, why=why)

    def proved(self, name: str) -> None:
        """The version that is wanted of this name is loaded, or none is: what was before it is not needed any more."""
        self.store.release(name)
        self.dropped.pop(name, None)
        self._profiles.pop(name, None)

    def review(self, before: Desired, desired: Desired) -> None:
        """Another version is wanted: what is known of the one before does not count for it."""
        for name in [n for n in self._in_vain if before.revision_of(n) != desired.revision_of(n)]:
            del self._in_vain[name]
        for name in [n for n, (revision, _) in self._tries.items() if desired.revision_of(n) != revision]:
            del self._tries[name]
        refusals = tuple(self.refusals.items())
        other = (n for n, r in refusals if desired.revision_of(n) != r.revision)
        rewritten = (n for n, _ in refusals if before.file_of(n) != desired.file_of(n))
        self.try_again({*other, *rewritten})

    def try_again(self, names: Iterable[str]) -> None:
        """Forgets the refusals of these names, so that what is wanted is tried."""
        for name in names:
            del self.refusals[name]
            self.changed = True

    def due(self, now: float) -> list[str]:
        """Names whose refusal is old enough for another try."""
        return [name for name, refusal in self.refusals.items() if now >= refusal.until]

    def save(self) -> None:
        """Keeps across restarts what another try would take down; a file that cannot be read takes nothing down."""
        self.changed = False
        said = {name: (r.revision, r.finding) for name, r in tuple(self.refusals.items()) if r.finding.code != _BREAKS}
        state = {
            name: {"revision": revision, "code": f.code, "message": f.message, "action": f.action}
            for name, (revision, f) in said.items()
        }
        with contextlib.suppress(StorageError):  # a restart that knows nothing of it tries once more, no worse
            self.store.folder.write_state(_STATE, state)

    def recover(self, desired: Desired, now: float) -> None:
        """Takes over what a process before this one set aside, and knew of versions that the switch did not take.

        Raises:
            StorageError: a file cannot be read.
        """
        self.store.recover()
        state = self.store.folder.read_state(_STATE)
        for name, entry in state.items() if isinstance(state, Mapping) else ():
            words = [entry.get(k) for k in ("revision", "code", "message", "action")] if isinstance(entry, dict) else []
            match words:
                case [str(revision), str(code), str(message), str(action)] if desired.revision_of(name) == revision:
                    good = self._before(name, revision, desired)
                    if good is not None:
                        self._refuse(name, revision, Finding(code, "", message, action), good, now)
                case _:
                    self.changed = True

    def _refuse(self, name: str, revision: str, finding: Finding, good: Good | None, now: float) -> None:
        before, tries = self._tries.get(name, ("", 0))
        tries = tries + 1 if before == revision else 1
        self._tries[name] = (revision, tries)
        until = now + min(RETRY_FIRST * 2.0 ** min(tries - 1, 10), RETRY_MAX)
        self.refusals[name] = Refusal(revision, finding, good, until)
        self.changed = True

    def _before(self, name: str, revision: str, desired: Desired) -> Good | None:
        """What was there before this version: set aside, or standing in its place already."""
        wanted, aside = desired.wanted.get(name), self.store.asides.get(file_name(name))
        for path, data in self.store.standing(name).items() if aside is None else (aside,):
            profile = self._profiles.get(name) or ("" if wanted is None else self._profile_of(path, wanted))
            good = good_of(name, path, data, profile) if profile else None
            if good is not None and good.wanted.revision != revision and self.ours(good.wanted.revision):
                return good
        return None

    def _profile_of(self, path: str, wanted: Wanted) -> str:
        """The profile that loads a file which an earlier process wrote, as far as its place says."""
        if path == wanted.path:
            return wanted.profile
        before, field_, after = self.store.folder.layout.profile.partition("{profile}")
        folder = path.rpartition("/")[0]
        if not field_ or not folder.startswith(before) or not folder.endswith(after):
            return ""
        return unquote(folder[len(before) : len(folder) - len(after)])
