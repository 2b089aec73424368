"""The requests that mod_sofia would send for a gateway, pasted together as its source does (sofia.c, sofia_reg.c).

In: an effective gateway. Out: bytes. Nothing is checked or escaped here, as nothing is there.
"""

from __future__ import annotations

from dataclasses import dataclass

from sipgateway.api.gateway import Gateway


@dataclass(frozen=True)
class Profile:
    """What of the profile shows in requests."""

    sip_ip: str = "192.0.2.200"
    port: int = 5080
    tls_port: int = 5081


class Wire:
    """The strings that parse_gateways keeps for one gateway, and the requests that are made of them."""

    def __init__(self, gateway: Gateway, profile: Profile | None = None) -> None:
        profile = profile or Profile()
        self.gateway = gateway
        self.proxy = self._text("proxy") or self._text("realm") or gateway.name
        self.username = self._text("username") or "FreeSWITCH"
        self.auth_username = self._text("auth-username") or self.username
        self.transport = self._text("register-transport") or "udp"
        self.realm = self._text("realm") or "carrier.example.com"
        from_user = self._text("from-user") or self.username
        self.from_host = self._text("from-domain") or self.proxy
        self.register_url = f"sip:{self.proxy}"
        if "transport=" not in self.proxy.lower():
            self.register_url += f";transport={self.transport}"
        self.register_from = f"<sip:{from_user}@{self.from_host}>"
        self.register_to = f"sip:{self.username}@{self.proxy}"
        self.contact = self._contact(profile)
        self.options_uri = f"<sip:{self.from_host}>"

    def _text(self, name: str) -> str:
        return self.gateway.get(name) or ""

    def _true(self, name: str) -> bool:
        return self.gateway.get(name) == "true"

    def _contact(self, profile: Profile) -> str:
        given = self._text("contact-params")
        own = f";transport={self.transport};gw={self.gateway.name}"
        params = f"{'' if given.startswith(';') or not given else ';'}{given}{own}"
        host = self.gateway.get("contact-host")
        host = profile.sip_ip if host is None or host == "sip-ip" else host
        shown = f"[{host}]" if ":" in host else host
        port = profile.tls_port if self.transport == "tls" else profile.port
        user = f"gw+{self.gateway.name}"
        if self._true("extension-in-contact"):
            user = self._text("extension") or self.username
        flow = ""
        if self._true("rfc-5626"):
            reg_id = self.gateway.get("reg-id") or "(null)"
            flow = f';reg-id={reg_id};+sip.instance="<urn:uuid:00000000-0000-1000-8000-000A95A0E128>"'
        return f"<sip:{user}@{shown}:{port}{params}>{flow}"

    def _route(self, name: str) -> list[str]:
        route = self._text(name)
        if not route:
            return []
        has_scheme = route.lower().startswith(("sip:", "sips:"))
        return [f"Route: <{route if has_scheme else f'sip:{route}'};lr>"]

    def register(self) -> bytes:
        """REGISTER, with the answer to a challenge."""
        to = self.register_to if self._true("distinct-to") else self.register_from
        digest = (
            f'Digest username="{self.auth_username}", realm="{self.realm}", nonce="n", uri="{self.register_url}", '
            'response="0"'
        )
        return _request(
            f"REGISTER {self.register_url} SIP/2.0",
            *self._route("register-proxy"),
            f"From: {self.register_from}",
            f"To: {to}",
            f"Contact: {self.contact}",
            f"Expires: {self._text('expire-seconds') or '3600'}",
            f"Authorization: {digest}",
        )

    def options(self) -> bytes:
        """An OPTIONS ping."""
        contact = [f"Contact: {self.contact}"] if self._true("contact-in-ping") else []
        return _request(
            f"OPTIONS {self.register_url} SIP/2.0",
            *self._route("register-proxy"),
            f"From: {self.options_uri}",
            f"To: {self.options_uri}",
            *contact,
        )

    def invite(self, number: str = "15550123") -> bytes:
        """An outbound call's INVITE."""
        dest = f"sip:{self._text('destination-prefix')}{number}@{self.proxy}"
        own = f";transport={self.transport}" if self.transport != "udp" and "port=" not in dest.lower() else ""
        headers = [
            f"{variable.name[len('sip_h_') :]}: {variable.value}"
            for variable in self.gateway.variables
            if variable.name.lower().startswith("sip_h_") and variable.direction != "inbound"
        ]
        return _request(
            f"INVITE {dest}{own} SIP/2.0",
            *self._route("outbound-proxy"),
            f"From: {self.register_from}",
            f"To: <{dest}{own}>",
            f"Contact: {self.contact}",
            *headers,
        )

    def subscribe(self) -> list[bytes]:
        """The SUBSCRIBE of each subscription."""
        out = []
        for subscription in self.gateway.subscriptions:
            target = self.register_to if subscription.username_in_request else self.register_url
            accept = [] if subscription.content_type is None else [f"Accept: {subscription.content_type}"]
            out.append(
                _request(
                    f"SUBSCRIBE {target} SIP/2.0",
                    f"From: {self.register_from}",
                    f"To: {self.register_from}",
                    f"Contact: {self.contact}",
                    f"Event: {subscription.event}",
                    *accept,
                    f"Expires: {subscription.expire_seconds or 3600}",
                )
            )
        return out


def _request(*lines: str) -> bytes:
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogatepass")
