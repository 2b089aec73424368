"""SIP between the switch and the registrars: requests out, answers in, each after its time. A journal of all of it.

In: a gateway that sends. Out: calls of registration.py when an answer comes, `Message` records for tests.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Protocol

from sipgateway.simulator import registration
from sipgateway.simulator.gateway import LoadedGateway
from sipgateway.simulator.profile import Profile
from sipgateway.simulator.registrar import Answer, Behaviour, Credentials, Registrar
from sipgateway.simulator.sip import Address, Message, Parts, can_be_sent, destination, wire

#: sofia-sip gives up on a request after 64 times T1, seconds.
TRANSACTION_TIMEOUT = 32.0
#: Bytes of mod_sofia's buffer for `scheme:"realm":user:password`, its end mark not counted (fact 34).
DIGEST_BUFFER = 255
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
_MAX_JOURNAL = 200_000


class Switchboard(registration.Stack, Protocol):
    """What the network needs of the switch."""

    def now(self) -> float:
        """Time, seconds since the epoch."""
        ...

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Runs an action after simulated seconds."""
        ...

    def profile_of(self, gateway: LoadedGateway) -> Profile:
        """The profile that a gateway belongs to."""
        ...

    def epoch(self) -> int:
        """Number of the XML tree in memory."""
        ...

    def networks(self, acl: str) -> tuple[str, ...]:
        """CIDRs that an ACL list allows; empty when it is unknown."""
        ...


class Network:
    """The wire.

    Args:
        switch: whose gateways send.
        default: behaviour of an address without a registrar of its own.
        seed: of every registrar's chances.
    """

    def __init__(self, switch: Switchboard, default: Behaviour, seed: int) -> None:
        self.journal: list[Message] = []
        self.registrars: dict[str, Registrar] = {}
        self.default = default
        self._switch = switch
        self._seed = seed

    def registrar(self, address: Address) -> Registrar:
        """The registrar at an address; one that behaves by default is made when there is none."""
        key = str(address)
        found = self.registrars.get(key)
        if found is None:
            behaviour = self.default.changed({"realm": address.host})
            if address.host in _LOOPBACK and behaviour.mode != "accept":
                behaviour = behaviour.changed({"mode": "unreachable"})
            elif address.host.endswith(".invalid") or address.host == "sip":
                behaviour = behaviour.changed({"mode": "dns-error"})
            found = self.registrars[key] = Registrar(address.host, address.port, behaviour, self._seed)
        return found

    def send_register(self, gateway: LoadedGateway, *, challenged: bool = False) -> None:
        """REGISTER on the gateway's handle, with the digest that the handle holds, if any."""
        if not can_be_sent(gateway.username):
            return
        target = destination(gateway.sticky_proxy or gateway.register_url, gateway.transport)
        if target is None:
            self._answer_later(gateway, Answer(503, "DNS Error"), challenged)
            return
        message = self._register_message(gateway, gateway.expires_text, target)
        registrar = self.registrar(target)
        shown, expires = gateway.shown, gateway.frequency

        def arrives() -> None:
            answer = registrar.register(gateway.username, gateway.register_contact, expires, shown, self._switch.now())
            self._answer_later(gateway, answer, challenged, message, registrar.behaviour.latency)

        self._switch.later(registrar.behaviour.latency, arrives)

    def send_unregister(self, gateway: LoadedGateway) -> None:
        """The un-REGISTER of a handle that nobody listens to any more: a challenge to it stays unanswered (fact 38)."""
        if not can_be_sent(gateway.username):
            return
        target = destination(gateway.sticky_proxy or gateway.register_url, gateway.transport)
        if target is None:
            return
        message = self._register_message(gateway, "0", target)
        registrar = self.registrar(target)
        shown = gateway.shown
        latency = registrar.behaviour.latency
        # 3 ways after a new copy's REGISTER was sent its answer to the challenge has arrived: later than that loses.
        delay = 3.5 * latency if registrar.is_late() else latency

        def arrives() -> None:
            answer = registrar.register(gateway.username, gateway.register_contact, 0, shown, self._switch.now())
            message.status, message.phrase = answer.status, answer.phrase

        self._switch.later(delay, arrives)

    def send_options(self, gateway: LoadedGateway) -> None:
        """An OPTIONS ping, by name as the switch's own answers are."""
        target = destination(gateway.sticky_proxy or gateway.register_url, gateway.transport)
        if target is None:
            self._switch.later(0.001, lambda: self._ponged(gateway, Answer(503, "DNS Error")))
            return
        gateway.cseq += 1
        parts = Parts(
            request_uri=gateway.register_url,
            from_=gateway.ping_uri,
            to=gateway.ping_uri,
            contact=gateway.register_contact if gateway.contact_in_ping else "",
            expires=None,
            call_id=f"{gateway.call_id}-{gateway.cseq}",
            cseq=gateway.cseq,
            user_agent=self._ping_user_agent(gateway),
        )
        message = self._message("OPTIONS", gateway, parts, target)
        registrar = self.registrar(target)

        def arrives() -> None:
            answer = registrar.options()
            message.status, message.phrase = answer.status, answer.phrase
            wait = answer.delay / 2 if answer.status else TRANSACTION_TIMEOUT
            reported = answer if answer.status else Answer(408, "Request Timeout")
            self._switch.later(wait, lambda: self._ponged(gateway, reported))

        self._switch.later(registrar.behaviour.latency, arrives)

    def authenticate(self, handle: LoadedGateway, credentials: LoadedGateway, answer: Answer) -> None:
        """Answers a challenge. The digest's input is cut at 255 bytes (fact 34)."""
        whole = f'Digest:"{answer.realm}":{credentials.auth_username}:{credentials.password}'.encode()
        cut = whole[:DIGEST_BUFFER].decode("utf-8", "ignore")
        _, _, rest = cut.partition(f'"{answer.realm}":')
        user, _, password = rest.partition(":")
        handle.shown = Credentials(answer.nonce, user, answer.realm, password)
        self.send_register(handle, challenged=True)

    def may_challenge(self, gateway: LoadedGateway, source: str) -> bool:
        """Whether a challenge from an address is answered (fact 35)."""
        if gateway.auth_acl is not None:
            address = ipaddress.ip_address(source)
            return any(
                address in ipaddress.ip_network(network, strict=False)
                for network in self._switch.networks(gateway.auth_acl)
            )
        return any(source == host or source == _resolved(host) for host in gateway.challenge_hosts)

    def call(self, gateway: LoadedGateway, method: str, number: str, call_id: str) -> Message:
        """Records an INVITE or BYE of a call through a gateway; the caller's host replaces `auto-aleg-*` (fact 24g)."""
        domain = gateway.from_domain or ""
        aleg = {"auto-aleg-full": "caller.example.com", "auto-aleg-domain": "caller.example.com"}.get(domain)
        from_ = f"<sip:{gateway.username}@{aleg}>" if aleg else gateway.register_from
        target = destination(gateway.outbound_proxy or gateway.register_url, gateway.transport) or Address("", 0)
        uri = f"sip:{number}@{gateway.register_proxy.removeprefix('sip:')}"
        parts = Parts(uri, from_, f"<{uri}>", gateway.register_contact, None, call_id, 1, self._user_agent(gateway))
        message = self._message(method, gateway, parts, target)
        message.status, message.phrase = 200, "OK"
        return message

    def _register_message(self, gateway: LoadedGateway, expires: str, target: Address) -> Message:
        gateway.cseq += 1
        shown = gateway.shown
        authorization = None
        if shown is not None:
            authorization = f'Digest username="{shown.username}", realm="{shown.realm}", nonce="{shown.nonce}"'
        parts = Parts(
            request_uri=gateway.register_proxy if ";" not in gateway.register_url else gateway.register_url,
            from_=gateway.register_from,
            to=f"<{gateway.register_to}>" if gateway.distinct_to else gateway.register_from,
            contact=gateway.register_contact,
            expires=expires,
            call_id=gateway.call_id,
            cseq=gateway.cseq,
            user_agent=self._user_agent(gateway),
            authorization=authorization,
        )
        return self._message("REGISTER", gateway, parts, target)

    def _message(self, method: str, gateway: LoadedGateway, parts: Parts, target: Address) -> Message:
        local = self._switch.profile_of(gateway).local
        message = Message(
            at=self._switch.now(),
            method=method,
            gateway=gateway.name,
            profile=gateway.profile,
            destination=str(target),
            request_uri=parts.request_uri,
            from_=parts.from_,
            to=parts.to,
            contact=parts.contact,
            expires=None if parts.expires is None else int(parts.expires or 0),
            call_id=parts.call_id,
            cseq=parts.cseq,
            authorised=parts.authorization is not None,
            user_agent=parts.user_agent,
            wire=wire(method, parts, local, gateway.transport),
        )
        if len(self.journal) >= _MAX_JOURNAL:
            del self.journal[: _MAX_JOURNAL // 10]
        self.journal.append(message)
        return message

    def _answer_later(
        self,
        gateway: LoadedGateway,
        answer: Answer,
        challenged: bool,
        message: Message | None = None,
        way: float = 0.001,
    ) -> None:
        if message is not None:
            message.status, message.phrase = answer.status, answer.phrase
        generation = gateway.generation

        def comes() -> None:
            if gateway.generation == generation:
                self._answered(gateway, answer, challenged)

        def gives_up() -> None:
            if gateway.generation == generation:
                registration.answer_to_register(self._switch, gateway, Answer(408, "Request Timeout"))

        if answer.status:
            self._switch.later(way, comes)
        else:
            self._switch.later(TRANSACTION_TIMEOUT, gives_up)

    def _answered(self, gateway: LoadedGateway, answer: Answer, challenged: bool) -> None:
        if answer.status not in {401, 407}:
            registration.answer_to_register(self._switch, gateway, answer)
        elif challenged:
            # The same credentials again: sofia finds no challenge that they match (transcripts/register-refused.txt).
            words = Answer(904, "Operation has no matching challenge ")
            registration.answer_to_register(self._switch, gateway, words)
        elif gateway.shown is not None:
            cached = Answer(100, "Request Authorized by Cache", answer.source, answer.port)
            registration.answer_to_register(self._switch, gateway, cached)
            old = gateway.shown
            gateway.shown = Credentials(answer.nonce, old.username, answer.realm, old.password)
            self.send_register(gateway, challenged=True)
        else:
            registration.challenged(self._switch, gateway, answer)

    def _ponged(self, gateway: LoadedGateway, answer: Answer) -> None:
        registration.answer_to_options(self._switch, gateway, answer, self._switch.now())

    def _user_agent(self, gateway: LoadedGateway) -> str:
        settings = self._switch.profile_of(gateway).settings
        return settings.get("user-agent-string", "FreeSWITCH-mod_sofia/1.10.12-release~64bit")

    def _ping_user_agent(self, gateway: LoadedGateway) -> str:
        """The text stands in the XML tree: after a reload that memory is free, and nothing arrives (fact 24f)."""
        if gateway.ping_user_agent is None:
            return self._user_agent(gateway)
        return gateway.ping_user_agent if gateway.user_agent_epoch == self._switch.epoch() else ""


def _resolved(host: str) -> str:
    """The address that the simulated world gives a host name: always the same, of 198.51.100.0/24."""
    return f"198.51.100.{1 + sum(host.encode()) % 254}"
