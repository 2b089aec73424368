"""One loaded gateway: what mod_sofia's parse_gateways makes of a `<gateway>` (docs/gateway-params.md).

In: a gateway as read back from the XML and its profile's settings. Out: a `LoadedGateway`, or a `Dropped` with the
words of the log line. Its states are driven by registration.py.
"""

from __future__ import annotations

import enum
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

from sipgateway.render.readback import ReadGateway
from sipgateway.simulator.registrar import Credentials
from sipgateway.simulator.variables import Variables
from sipgateway.simulator.words import atoi, host_of, is_true, transport_of


class State(enum.StrEnum):
    """Registration states (fact 21)."""

    UNREGED = "UNREGED"
    TRYING = "TRYING"
    REGISTER = "REGISTER"
    REGED = "REGED"
    UNREGISTER = "UNREGISTER"
    FAILED = "FAILED"
    FAIL_WAIT = "FAIL_WAIT"
    EXPIRED = "EXPIRED"
    NOREG = "NOREG"
    DOWN = "DOWN"
    TIMEOUT = "TIMEOUT"


class Dropped(Exception):  # noqa: N818 -- what mod_sofia does with it
    """mod_sofia drops this gateway without telling; the text is its log line (fact 13)."""


@dataclass(slots=True, eq=False)
class LoadedGateway:
    """A gateway in the memory of the switch. Times are seconds since the epoch.

    Attributes:
        profile: name of the profile that loaded it.
        password: never shown: not in `repr`, not in a status.
        real_extension: destination of inbound calls, when the file names one.
        shown: what the digest cache of its handle holds ("Request Authorized by Cache"); None before a challenge.
        generation: counts the handles, so that an answer to a destroyed handle is recognised.
        user_agent_epoch: reload in whose memory `ping-user-agent` stands (fact 24f).
    """

    name: str
    profile: str
    scheme: str
    realm: str
    username: str
    auth_username: str
    password: str = field(repr=False)
    context: str
    from_domain: str | None
    register_from: str
    register_to: str
    register_url: str
    register_proxy: str
    register_contact: str
    sticky_proxy: str | None
    outbound_proxy: str | None
    challenge_hosts: tuple[str, ...]
    auth_acl: str | None
    extension: str
    transport: str
    caller_id_in_from: bool
    distinct_to: bool
    expires_text: str
    frequency: int
    retry_seconds: int
    retry_908_seconds: int
    timeout_seconds: int
    ping_frequency: int
    ping_min: int
    ping_max: int
    ping_monitoring: bool
    ping_uri: str
    contact_in_ping: bool
    ping_user_agent: str | None
    user_agent_epoch: int
    inbound: Variables
    outbound: Variables
    state: State
    up: bool
    up_since: float
    ping: int
    call_id: str
    deleted: bool = False
    retry: int = 0
    expires: int = 0
    reg_timeout: int = 0
    failures: int = 0
    failure_status: int = 0
    network_ip: str = ""
    network_port: int = 0
    pinging: bool = False
    ping_sent: float = 0.0
    ping_time: float = 0.0
    ping_count: int = 0
    has_handle: bool = False
    generation: int = 0
    shown: Credentials | None = None
    cseq: int = 0
    calls_in: int = 0
    calls_out: int = 0
    failed_calls_in: int = 0
    failed_calls_out: int = 0

    @property
    def registers(self) -> bool:
        """Whether it ever REGISTERs."""
        return self.state is not State.NOREG

    @property
    def status(self) -> str:
        """`UP` or `DOWN`: whether calls may go out (facts 15, 37)."""
        return "UP" if self.up else "DOWN"

    @property
    def handle_name(self) -> str:
        """The name that its SIP handles carry, in a buffer of 256 bytes: a longer one is never found (fact 32)."""
        return self.name.encode("utf-8", "surrogateescape")[:255].decode("utf-8", "ignore")

    def retry_note(self, now: float) -> str | None:
        """What a status appends to a state that waits: `4s`, `NEVER`, or nothing (fact 39)."""
        if self.state not in {State.FAILED, State.FAIL_WAIT, State.TRYING}:
            return None
        return f"{self.retry - int(now)}s" if self.retry >= int(now) else "NEVER"


def load(read: ReadGateway, profile: str, settings: Mapping[str, str], now: float, epoch: int) -> LoadedGateway:
    """Builds what mod_sofia would have in memory.

    Args:
        read: the gateway of the file.
        profile: name of the profile that scans.
        settings: the profile's parameters.
        now: time, seconds since the epoch.
        epoch: number of the XML tree in memory.

    Returns:
        The gateway, UNREGED or NOREG.

    Raises:
        Dropped: it does not load; the reason stands in the switch's log only.
    """
    values = dict(read.params)
    register = is_true(values.get("register", "true"))
    username, password = values.get("username") or "", values.get("password") or ""
    proxy, transport = values.get("proxy") or "", "udp"
    for name, value in read.params:
        if name == "register-transport":
            known = transport_of(value)
            if known is None or (known == "tls" and not is_true(settings.get("tls"))):
                raise Dropped("ERROR: unsupported transport")
            transport = known
    realm = values.get("realm") or proxy or read.name
    if register and not username:
        raise Dropped("ERROR: username param is REQUIRED!")
    if register and not password:
        raise Dropped("ERROR: password param is REQUIRED!")
    username = username or "FreeSWITCH"
    proxy = proxy or realm
    from_domain = values.get("from-domain") or None
    from_user = values.get("from-user") or username
    extension = values.get("extension") or username
    bare_proxy = proxy[4:] if proxy[:4].lower() == "sip:" else proxy
    register_url = f"sip:{proxy}" if "transport=" in proxy.lower() else f"sip:{proxy};transport={transport}"
    ping = _unsigned(atoi(values.get("ping")))
    pings = ping >= 5
    inbound, outbound = _variables(read)
    return LoadedGateway(
        name=read.name,
        profile=profile,
        scheme=values.get("scheme", "Digest"),
        realm=realm,
        username=username,
        auth_username=values.get("auth-username") or username,
        password=password,
        context=values.get("context", settings.get("context", "default")),
        from_domain=from_domain,
        register_from=f"<sip:{from_user}@{from_domain or proxy}>",
        register_to=f"sip:{username}@{bare_proxy}",
        register_url=register_url,
        register_proxy=proxy if bare_proxy is not proxy else f"sip:{proxy}",
        register_contact=_contact(read.name, extension, values, settings, transport),
        sticky_proxy=_sip_uri(values.get("register-proxy")),
        outbound_proxy=_sip_uri(values.get("outbound-proxy")),
        challenge_hosts=_challenge_hosts(proxy, read.params),
        auth_acl=values.get("gw-auth-acl") or None,
        extension=extension,
        transport=transport,
        caller_id_in_from=is_true(values.get("caller-id-in-from")),
        distinct_to=is_true(values.get("distinct-to")),
        expires_text=values.get("expire-seconds", "3600"),
        frequency=_at_least(atoi(values.get("expire-seconds", "3600")), 5, 3600),
        retry_seconds=_at_least(atoi(_last_of(read.params, ("retry-seconds", "retry_seconds"), "30")), 5, 30),
        retry_908_seconds=atoi(values.get("908-retry-seconds")),
        timeout_seconds=_at_least(atoi(values.get("timeout-seconds", "60")), 5, 60),
        ping_frequency=ping if pings else 0,
        ping_min=atoi(values.get("ping-min", "1")) if pings else 0,
        ping_max=atoi(values.get("ping-max", "1")) if pings else 0,
        ping_monitoring=pings and is_true(values.get("ping-monitoring")),
        ping_uri=f"<sip:{from_domain or proxy}>",
        contact_in_ping=pings and is_true(values.get("contact-in-ping")),
        ping_user_agent=values.get("ping-user-agent"),
        user_agent_epoch=epoch,
        inbound=inbound,
        outbound=outbound,
        state=State.UNREGED if register else State.NOREG,
        up=not register,
        up_since=now,
        ping=int(now) + ping if pings else 0,
        call_id=str(uuid.uuid4()),
    )


def remarks(read: ReadGateway) -> tuple[str, ...]:
    """Log lines of values that mod_sofia replaces silently while it loads the gateway (docs/gateway-params.md)."""
    values = dict(read.params)
    lines = []
    retry = atoi(_last_of(read.params, ("retry-seconds", "retry_seconds"), "30"))
    if retry < 5:
        lines.append(f"Invalid retry-seconds of {retry} on gateway {read.name}, using the value of 30 instead.")
    timeout = atoi(values.get("timeout-seconds", "60"))
    if timeout < 5:
        lines.append(f"Invalid timeout-seconds of {timeout} on gateway {read.name}, using the value of 60 instead.")
    if 0 < _unsigned(atoi(values.get("ping"))) < 5:
        lines.append("ERROR: invalid ping!")
    expires = atoi(values.get("expire-seconds", "3600"))
    if expires < 5:
        lines.append(f"Invalid register-frequency of {expires} on gateway {read.name}, using the value of 3600 instead")
    return tuple(lines)


def _contact_params(
    name: str, values: Mapping[str, str], settings: Mapping[str, str], transport: str
) -> tuple[str, str]:
    given = values.get("contact-params") or ""
    lead = "" if not given or given.startswith(";") else ";"
    params = f"{lead}{given};transport={transport};gw={name}"
    suffix = ""
    if is_true(values.get("rfc-5626")) and is_true(settings.get("enable-rfc-5626")):
        # A missing reg-id goes through printf as a null pointer (docs/gateway-params.md).
        suffix = f';reg-id={values.get("reg-id", "(null)")};+sip.instance="<urn:uuid:{uuid.uuid4()}>"'
    return params, suffix


def _contact(name: str, extension: str, values: Mapping[str, str], settings: Mapping[str, str], transport: str) -> str:
    params, suffix = _contact_params(name, values, settings, transport)
    own = settings.get("sip-ip", "127.0.0.1")
    host = values.get("contact-host", settings.get("ext-sip-ip") or own)
    if host == "sip-ip":
        host = own
    if ":" in host:
        host = f"[{host}]"
    port = settings.get("tls-sip-port", "5061") if transport == "tls" else settings.get("sip-port", "5060")
    user = extension if is_true(values.get("extension-in-contact")) else f"gw+{name}"
    return f"<sip:{user}@{host}:{port}{params}>{suffix}"


def _challenge_hosts(proxy: str, params: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    values = dict(params)
    hosts = (host_of(proxy), host_of(values.get("register-proxy")), host_of(values.get("outbound-proxy")))
    return tuple(host for host in hosts if host)


def _variables(read: ReadGateway) -> tuple[Variables, Variables]:
    inbound, outbound = Variables(), Variables()
    for name, value, direction in read.variables:
        word = None if direction is None else direction.lower()
        if word in {None, "inbound"}:
            inbound.add(name, value)
        if word in {None, "outbound"}:
            outbound.add(name, value)
    return inbound, outbound


def _sip_uri(value: str | None) -> str | None:
    if not value:
        return None
    return value if value[:4].lower() == "sip:" or value[:5].lower() == "sips:" else f"sip:{value}"


def _last_of(params: tuple[tuple[str, str], ...], names: tuple[str, ...], default: str) -> str:
    return next((value for name, value in reversed(params) if name in names), default)


def _at_least(value: int, minimum: int, instead: int) -> int:
    return instead if value < minimum else value


def _unsigned(value: int) -> int:
    return value % 2**32
