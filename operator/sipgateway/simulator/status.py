"""The tables and XML that `sofia status` and `sofia xmlstatus` print, byte for byte (facts 20, 39).

In: profiles and gateways, the time. Out: text. Nothing here changes anything.
"""

from __future__ import annotations

from collections.abc import Iterable

from sipgateway.simulator.gateway import LoadedGateway
from sipgateway.simulator.profile import Profile
from sipgateway.simulator.words import amp_encode

_LINE = "=" * 97 + "\n"
_XML = '<?xml version="1.0" encoding="ISO-8859-1"?>\n'


def table(profiles: Iterable[Profile], now: float) -> str:
    """`sofia status`: a row for each profile and gateway, ghosts and marked copies too (facts 11, 24b)."""
    rows = [f"{'Name':>25}\t{'   Type'}\t  {'Data':>40}\t{'State'}\n", _LINE]
    count = 0
    for profile in profiles:
        if not profile.running:
            continue
        count += 1
        rows.append(f"{profile.name:>25}\tprofile\t  {profile.url:>40}\tRUNNING (0)\n")
        for gateway in profile.gateways:
            key = f"{profile.name}::{gateway.name}"
            note = gateway.retry_note(now)
            suffix = "" if note is None else f" (retry: {note})"
            rows.append(f"{key:>25}\tgateway\t  {gateway.register_to:>40}\t{gateway.state.value}{suffix}\n")
    rows.append(_LINE)
    rows.append(f"{count} profile{'' if count == 1 else 's'} 0 aliases\n")
    return "".join(rows)


def summary(profiles: Iterable[Profile], now: float) -> str:
    """`sofia status gateway` without a name: a row for each gateway, with pings and calls."""
    rows = [
        f"{'Profile::Gateway-Name':>25}\t{'    Data    ':>32}\tState\tPing Time\tIB Calls(F/T)\tOB Calls(F/T)\n",
        _LINE,
    ]
    listed = [gateway for profile in profiles if profile.running for gateway in profile.gateways]
    for gateway in listed:
        key = f"{gateway.profile}::{gateway.name}"
        waits = gateway.retry_note(now) is not None
        left = gateway.reg_timeout - int(now)
        suffix = "" if not waits else f" (retry: {left}s)" if left >= 0 else " (retry: NEVER)"
        rows.append(
            f"{key:>25}\t{gateway.register_to:>32}\t{gateway.state.value}\t{gateway.ping_time:6.2f}\t"
            f"{gateway.failed_calls_in}/{gateway.calls_in}\t{gateway.failed_calls_out}/{gateway.calls_out}{suffix}\n"
        )
    totals = [
        sum(gateway.failed_calls_in for gateway in listed),
        sum(gateway.calls_in for gateway in listed),
        sum(gateway.failed_calls_out for gateway in listed),
        sum(gateway.calls_out for gateway in listed),
    ]
    rows.append(_LINE)
    rows.append(
        f"{len(listed)} gateway{'' if len(listed) == 1 else 's'}: Inbound(Failed/Total): {totals[0]}/{totals[1]},"
        f"Outbound(Failed/Total):{totals[2]}/{totals[3]}\n"
    )
    return "".join(rows)


def xml_profiles(profiles: Iterable[Profile]) -> str:
    """`sofia xmlstatus`: profiles and gateways, one short element each."""
    rows = [_XML, "<profiles>\n"]
    for profile in profiles:
        if not profile.running:
            continue
        rows.append(
            f"<profile>\n<name>{profile.name}</name>\n<type>profile</type>\n<data>{profile.url}</data>\n"
            "<state>RUNNING (0)</state>\n</profile>\n"
        )
        rows += [
            f"<gateway>\n<name>{gateway.name}</name>\n<type>gateway</type>\n<data>{gateway.register_to}</data>\n"
            f"<state>{gateway.state.value}</state>\n</gateway>\n\n"
            for gateway in profile.gateways
        ]
    rows.append("</profiles>\n")
    return "".join(rows)


def gateway_status(gateway: LoadedGateway, now: float) -> str:
    """`sofia status gateway NAME`."""
    uptime = int(now - gateway.up_since) if gateway.up else 0
    rows = (
        ("Name    ", gateway.name),
        ("Profile ", gateway.profile),
        ("Scheme  ", gateway.scheme),
        ("Realm   ", gateway.realm),
        ("Username", gateway.username),
        ("Password", "yes" if gateway.password else "no"),
        ("From    ", gateway.register_from),
        ("Contact ", gateway.register_contact),
        ("Exten   ", gateway.extension),
        ("To      ", gateway.register_to),
        ("Proxy   ", gateway.register_proxy),
        ("Context ", gateway.context),
        ("Expires ", gateway.expires_text),
        ("Freq    ", gateway.frequency),
        ("Ping    ", gateway.ping),
        ("PingFreq", gateway.ping_frequency),
        ("PingTime", f"{gateway.ping_time:.2f}"),
        ("PingState", f"{gateway.ping_min}/{gateway.ping_count}/{gateway.ping_max}"),
        ("State   ", gateway.state.value),
        ("Status  ", gateway.status + (" (ping)" if gateway.pinging else "")),
        ("Uptime  ", f"{uptime}s"),
        ("CallsIN ", gateway.calls_in),
        ("CallsOUT", gateway.calls_out),
        ("FailedCallsIN", gateway.failed_calls_in),
        ("FailedCallsOUT", gateway.failed_calls_out),
    )
    return _LINE + "".join(f"{name}\t{value}\n" for name, value in rows) + _LINE


def xml_gateways(profiles: Iterable[Profile], now: float) -> str:
    """`sofia xmlstatus gateways`."""
    parts = [gateway_xml(gateway, now) for profile in profiles if profile.running for gateway in profile.gateways]
    return f"{_XML}<gateways>\n{''.join(parts)}</gateways>\n"


def gateway_xml(gateway: LoadedGateway, now: float) -> str:
    """One `<gateway>` of xmlstatus. Only from, contact and exten are escaped (fact 39)."""
    uptime = round((now - gateway.up_since) * 1e6) if gateway.up else 0
    rows: tuple[tuple[str, object], ...] = (
        ("name", gateway.name),
        ("profile", gateway.profile),
        ("scheme", gateway.scheme),
        ("realm", gateway.realm),
        ("username", gateway.username),
        ("password", "yes" if gateway.password else "no"),
        ("from", amp_encode(gateway.register_from)),
        ("contact", amp_encode(gateway.register_contact)),
        ("exten", amp_encode(gateway.extension)),
        ("to", gateway.register_to),
        ("proxy", gateway.register_proxy),
        ("context", gateway.context),
        ("expires", gateway.expires_text),
        ("freq", gateway.frequency),
        ("ping", gateway.ping),
        ("pingfreq", gateway.ping_frequency),
        ("pingmin", gateway.ping_min),
        ("pingcount", gateway.ping_count),
        ("pingmax", gateway.ping_max),
        ("pingtime", f"{gateway.ping_time:.2f}"),
        ("pinging", int(gateway.pinging)),
        ("state", gateway.state.value),
        ("status", gateway.status),
        ("uptime-usec", uptime),
        ("calls-in", gateway.calls_in),
        ("calls-out", gateway.calls_out),
        ("failed-calls-in", gateway.failed_calls_in),
        ("failed-calls-out", gateway.failed_calls_out),
    )
    note = gateway.retry_note(now)
    retry = "" if note is None else f"    <retry>{note}</retry>\n"
    return (
        "  <gateway>\n" + "".join([f"    <{tag}>{value}</{tag}>\n" for tag, value in rows]) + retry + "  </gateway>\n"
    )
