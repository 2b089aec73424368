"""What became of a gateway's registration: a pure fold over the switch's events and its periodic status.

In: `gateway_state` events and rows of `sofia status` as plain values. Out: a verdict that a person can act on.
Answers to a copy that is marked for deletion land on the new copy of that name (fact 17a), so between `killgw` and
`gateway_delete` nothing is judged.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace

#: States in which a registration that was there is lost (fact 36: UNREGED and TRYING belong to a refresh).
_LOST = frozenset({"FAILED", "FAIL_WAIT", "TIMEOUT", "DOWN"})

#: The user's to mend: more tries of the same credentials end the same way. 904 is the switch's own word for it.
_CREDENTIALS = frozenset({401, 403, 407, 904})

#: `Phrase` with 503 when the switch's own resolver failed (fact 36).
_DNS = "DNS Error"


class Verdict(enum.StrEnum):
    """What a registration amounts to."""

    NOT_WANTED = "NotRegistering"
    PENDING = "Pending"
    REGISTERED = "Registered"
    CREDENTIALS_REFUSED = "CredentialsRefused"
    REFUSED = "Refused"
    CHALLENGE_IGNORED = "ChallengeFromUnknownAddress"
    DNS_FAILED = "DnsFailed"
    UNREACHABLE = "RegistrarUnreachable"
    DOWN = "Down"


@dataclass(frozen=True, slots=True)
class Registration:
    """The registration of one gateway.

    Attributes:
        state: the switch's word (fact 21); empty before anything was seen.
        up: whether outbound calls go through (`Ping-Status`); None when it was not said.
        status: SIP status of the last answer that counts, None when there was none.
        phrase: the words that came with it.
        since: when `verdict` last changed, seconds of the clock that the caller uses.
        registered_once: whether a 200 was seen since the gateway was loaded.
        challenge_ignored: whether the switch said that it would not answer a challenge (fact 35).
    """

    state: str = ""
    up: bool | None = None
    status: int | None = None
    phrase: str = ""
    since: float = 0.0
    registered_once: bool = False
    challenge_ignored: bool = False

    @property
    def verdict(self) -> Verdict:
        """What it amounts to now."""
        if self.state == "NOREG":
            return Verdict.NOT_WANTED
        if self.state in {"REGISTER", "REGED"} and self.up is not False:
            return Verdict.REGISTERED
        if self.state == "REGISTER" and self.status == 200:
            return Verdict.REGISTERED
        if self.challenge_ignored:
            return Verdict.CHALLENGE_IGNORED
        if self.status is not None and self.status >= 300:
            if self.status in _CREDENTIALS:
                return Verdict.CREDENTIALS_REFUSED
            if self.status == 503 and self.phrase == _DNS:
                return Verdict.DNS_FAILED
            if self.status in {408, 503, 908}:
                return Verdict.UNREACHABLE
            return Verdict.REFUSED
        if self.state == "TIMEOUT":
            return Verdict.UNREACHABLE
        if self.state in _LOST:
            return Verdict.DOWN
        if self.registered_once:
            return Verdict.REGISTERED  # an ordinary refresh passes UNREGED and TRYING (fact 36)
        return Verdict.PENDING

    @property
    def serving(self) -> bool:
        """Whether calls go out through it, as far as was said: UP comes up to a tick after the 200 (facts 15, 21)."""
        return self.state in {"REGED", "NOREG"} if self.up is None else self.up

    def event(self, state: str, *, up: bool | None, status: int | None, phrase: str, now: float) -> Registration:
        """After a `gateway_state` event (fact 22). FAIL_WAIT carries no status, the FAILED before it does (36)."""
        news = status is not None and status >= 200
        forget = state in {"REGISTER", "REGED"}
        after = replace(
            self,
            state=state,
            up=self.up if up is None else up,
            status=status if news else (200 if forget else self.status),
            phrase=phrase if news else ("" if forget else self.phrase),
            registered_once=self.registered_once or state in {"REGISTER", "REGED"},
            challenge_ignored=self.challenge_ignored and not forget and not news,
        )
        if after.state in _LOST:
            after = replace(after, registered_once=False)
        return self._dated(after, now)

    def seen(self, state: str, now: float) -> Registration:
        """After a row of `sofia status` said `state`: it corrects a missed event, and adds no status."""
        if state == self.state:
            return self
        after = replace(self, state=state, registered_once=self.registered_once or state in {"REGISTER", "REGED"})
        if state in {"REGISTER", "REGED"}:
            after = replace(after, status=200, phrase="", challenge_ignored=False, up=None)
        if state in _LOST:
            after = replace(after, registered_once=False)
        return self._dated(after, now)

    def ignored_challenge(self, now: float) -> Registration:
        """After `gateway_invalid_digest_req`: it stays in TRYING for ever (fact 35)."""
        return self._dated(replace(self, challenge_ignored=True), now)

    def _dated(self, after: Registration, now: float) -> Registration:
        return after if after.verdict is self.verdict and self.state else replace(after, since=now)


#: What to tell a person for each verdict that needs one.
ADVICE: dict[Verdict, str] = {
    Verdict.CREDENTIALS_REFUSED: "Check username, authUsername, realm and the password with the carrier.",
    Verdict.REFUSED: "Ask the carrier why it refuses this REGISTER.",
    Verdict.CHALLENGE_IGNORED: "The challenge came from an address that is none of proxy, registerProxy and "
    "outboundProxy: name it there with its port, or allow it with gwAuthAcl (fact 35).",
    Verdict.DNS_FAILED: "The switch's own resolver does not know the registrar's name: check proxy and DNS.",
    Verdict.UNREACHABLE: "No answer from the registrar: check proxy, registerProxy, registerTransport and firewalls.",
    Verdict.DOWN: "The switch holds it down: `sofia status gateway NAME` on the switch says more.",
}
