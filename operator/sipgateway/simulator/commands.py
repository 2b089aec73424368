"""API commands: text in, text out, byte for byte what the switch writes. Replies are in tests/transcripts/.

In: the command line after `api `. Out: the reply; None when there is no such command. The switch changes as it says.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from sipgateway.simulator.gateway import State
from sipgateway.simulator.profile import Profile
from sipgateway.simulator.status import gateway_status, gateway_xml, summary, table, xml_gateways, xml_profiles
from sipgateway.simulator.switch import MIN_UPTIME, Switch
from sipgateway.simulator.words import separate

VERSION = "1.10.12-release"
_USAGE = """USAGE:
--------------------------------------------------------------------------------
sofia profile <name> [start | stop | restart | rescan] [wait]
                     [register | unregister] [<gateway name> | all]
                     killgw <gateway name>

sofia <status|xmlstatus> gateway <name>

sofia help
--------------------------------------------------------------------------------
"""
_INVALID_GATEWAY = "Invalid Gateway!\n"
_XML = '<?xml version="1.0" encoding="ISO-8859-1"?>\n'


def execute(switch: Switch, line: str) -> str:
    """Runs one API command.

    Args:
        switch: that runs it.
        line: command and arguments, as after `api `.

    Returns:
        The body of the reply.
    """
    name, _, argument = line.partition(" ")
    command = _COMMANDS.get(name.lower())
    if command is None:
        return f"-ERR {name} Command not found!\n"
    return command(switch, argument) or "-ERR no reply\n"


def _sofia(switch: Switch, argument: str) -> str:
    words = separate(argument, 1024)
    if not words:
        return _USAGE
    match words[0].lower():
        case "profile":
            return _profile(switch, words[1:])
        case "status":
            return _status(switch, words[1:])
        case "xmlstatus":
            return _xmlstatus(switch, words[1:])
        case "help":
            return _USAGE
    return f"Unknown Command [{words[0]}]\n"


def _status(switch: Switch, words: list[str]) -> str:
    if not words:
        return table(switch.profiles.values(), switch.now())
    if len(words) == 1:
        return summary(switch.profiles.values(), switch.now())
    if words[0].lower() == "gateway":
        gateway = switch.find_gateway(words[1])
        return _INVALID_GATEWAY if gateway is None else gateway_status(gateway, switch.now())
    if words[0].lower() == "profile":
        profile = switch.find_profile(words[1])
        return "Invalid Profile!\n" if profile is None else f"Name\t{profile.name}\nURL\t{profile.url}\n"
    return "Invalid Syntax!\n"


def _xmlstatus(switch: Switch, words: list[str]) -> str:
    if not words:
        return xml_profiles(switch.profiles.values())
    if len(words) == 1:
        return xml_gateways(switch.profiles.values(), switch.now())
    if words[0].lower() == "gateway":
        gateway = switch.find_gateway(words[1])
        return _INVALID_GATEWAY if gateway is None else _XML + gateway_xml(gateway, switch.now())
    return "Invalid Syntax!\n"


def _profile(switch: Switch, words: list[str]) -> str:
    if len(words) < 2:
        return "Invalid Args!\n"
    name, verb = words[0], words[1].lower()
    if verb == "start":
        reloaded = _reload(switch)
        profile = switch.find_profile(name)
        started = switch.rescan(profile) if profile is not None else switch.start_profile(name)
        return reloaded + (f"{name} started successfully\n" if started else f"Failure starting {name}\n")
    profile = switch.find_profile(name)
    if profile is None:
        return f"Invalid Profile [{name}]"
    target = words[2] if len(words) > 2 else ""
    match verb:
        case "killgw":
            return _killgw(switch, profile, target)
        case "startgw":
            return _startgw(switch, profile, target)
        case "rescan":
            reloaded = _reload(switch)
            found = switch.rescan(profile)
            words_ = "+OK scan complete\n" if found else f"-ERR cannot find config for profile {profile.name}\n"
            return reloaded + words_
        case "register" | "unregister":
            return _register(switch, profile, target, verb)
        case "stop" | "restart":
            return _stop(switch, profile, verb)
        case "gwlist":
            up = target.lower() != "down"
            return "".join(f"{gateway.name} " for gateway in profile.gateways if gateway.up is up)
    return "-ERR Unknown command!\n"


def _reload(switch: Switch) -> str:
    answer = switch.tree.reload()
    switch.fire("RELOADXML", "", ())
    return f"Reload XML [{answer}]\n"


def _killgw(switch: Switch, profile: Profile, name: str) -> str:
    """`killgw` ignores the profile that it is told (fact 12)."""
    if not name:
        return "-ERR missing gw name\n"
    if name.lower() == "_all_":
        switch.mark_all(profile)
        return "+OK every gateway marked for deletion.\n"
    gateway = switch.find_gateway(name)
    if gateway is None:
        return "-ERR no such gateway.\n"
    switch.mark(gateway)
    return "+OK gateway marked for deletion.\n"


def _startgw(switch: Switch, profile: Profile, name: str) -> str:
    if not name:
        return "-ERR missing gw name\n"
    reloaded = _reload(switch)
    switch.start_gateway(profile, name)
    return f"{reloaded}+OK start gateway {name} complete\n"


def _register(switch: Switch, profile: Profile, name: str, verb: str) -> str:
    """`register` and `unregister`; on a NOREG gateway a read lock of its profile is never given back (fact 28)."""
    state = State.UNREGED if verb == "register" else State.UNREGISTER
    if not name:
        return "No gateway name provided!\n"
    if name.lower() == "all":
        for gateway in profile.gateways:
            if gateway.state is not State.NOREG:
                gateway.retry, gateway.state = 0, state
        return "+OK\n"
    found = switch.find_gateway(name)
    if found is None:
        return "Invalid gateway!\n"
    if found.state is State.NOREG:
        switch.profile_of(found).leaked_locks += 1
        return f"-ERR NOREG gateway [{name}] can't be {verb}ed!\n"
    found.retry, found.state = 0, state
    return "+OK\n"


def _stop(switch: Switch, profile: Profile, verb: str) -> str:
    up = int(switch.now()) - int(profile.started)
    if up < MIN_UPTIME:
        left = MIN_UPTIME - up
        return (
            f"Profile {profile.name} must be up for at least {MIN_UPTIME} seconds to stop/restart.\n"
            f"Please wait {left} second{'' if left == 1 else 's'}\n"
        )
    reloaded = _reload(switch)
    switch.stop_profile(profile, respawn=verb == "restart")
    return f"{reloaded}{'restarting' if verb == 'restart' else 'stopping'}: {profile.name}"


def _gateway_data(switch: Switch, argument: str) -> str:
    """`sofia_gateway_data NAME ivar|ovar|var VARIABLE`: nothing found is an empty reply (fact 24c)."""
    if not argument:
        return "-ERR Parameter missing\n"
    words = separate(argument, 4)
    if len(words) < 3:
        return ""
    gateway = switch.find_gateway(words[0])
    if gateway is None:
        return ""
    inbound, outbound = gateway.inbound.get(words[2]), gateway.outbound.get(words[2])
    match words[1].lower():
        case "ivar":
            return inbound or ""
        case "ovar":
            return outbound or ""
        case "var":
            return (inbound if inbound is not None else outbound) or ""
    return ""


def _reloadxml(switch: Switch, argument: str) -> str:
    del argument
    answer = switch.tree.reload()
    switch.fire("RELOADXML", "", ())
    return f"+OK [{answer}]\n"


def _global_getvar(switch: Switch, argument: str) -> str:
    name = argument.strip()
    if name:
        return switch.tree.variables.get(name, "")
    return "".join(f"{key}={value}\n" for key, value in switch.tree.variables.items())


def _switch_status(switch: Switch, argument: str) -> str:
    del argument
    up = switch.now() - switch.started
    days, rest = divmod(int(up), 86_400)
    hours, rest = divmod(rest, 3_600)
    minutes, seconds = divmod(rest, 60)
    micro = round(up % 1 * 1e6) % 1_000_000
    active = sum(call.until is None for call in switch.calls.values())
    return (
        f"UP {_many(days // 365, 'year')}, {_many(days % 365, 'day')}, {_many(hours, 'hour')}, "
        f"{_many(minutes, 'minute')}, {_many(seconds, 'second')}, {_many(micro // 1000, 'millisecond')}, "
        f"{_many(micro % 1000, 'microsecond')}\n"
        f"FreeSWITCH (Version {VERSION}  64bit) is ready\n"
        f"{switch.sessions} session(s) since startup\n"
        f"{active} session(s) - peak {switch.sessions}, last 5min {active} \n"
        f"0 session(s) per Sec out of max 100, peak 1, last 5min 0 \n"
        f"1000 session(s) max\n"
        f"min idle cpu 0.00/99.00\n"
        f"Current Stack Size/Max 240K/8192K\n"
    )


def _version(switch: Switch, argument: str) -> str:
    del switch
    if argument.strip() == "short":
        return f"{VERSION}\n"
    return f"FreeSWITCH Version {VERSION}~64bit ( 64bit)\n"


def _originate(switch: Switch, argument: str) -> str:
    """`originate sofia/gateway/NAME/NUMBER ...`: enough to see whether a call goes out (fact 15)."""
    words = separate(argument, 3)
    pieces = words[0].rpartition("}")[2].split("/", 3) if words else []
    if len(pieces) < 4 or pieces[:2] != ["sofia", "gateway"]:
        return "-ERR CHAN_NOT_IMPLEMENTED\n"
    gateway = switch.find_gateway(pieces[2])
    if gateway is None:
        return "-ERR INVALID_GATEWAY\n"
    if not gateway.up:
        gateway.failed_calls_out += 1
        return "-ERR GATEWAY_DOWN\n"
    return f"+OK {switch.start_call(gateway, pieces[3]).uuid}\n"


def _uuid_kill(switch: Switch, argument: str) -> str:
    call = switch.calls.get(separate(argument, 2)[0] if argument.strip() else "")
    if call is None or call.until is not None:
        return "-ERR No such channel!\n"
    switch.end_call(call)
    return "+OK\n"


def _uuid_getvar(switch: Switch, argument: str) -> str:
    """A channel's variable: those of the gateway's outbound leg are on it (fact 41)."""
    words = separate(argument, 2)
    call = switch.calls.get(words[0]) if len(words) == 2 else None
    if call is None or call.until is not None:
        return "-ERR No such channel!\n"
    return call.gateway.outbound.get(words[1]) or "_undef_"


def _uuid_exists(switch: Switch, argument: str) -> str:
    call = switch.calls.get(argument.strip())
    return "true" if call is not None and call.until is None else "false"


def _show(switch: Switch, argument: str) -> str:
    active = sum(call.until is None for call in switch.calls.values())
    return f"\n{active} total.\n" if argument.startswith(("calls", "channels")) else "-USAGE: codec|...\n"


def _strepoch(switch: Switch, argument: str) -> str:
    del argument
    return str(int(switch.now()))


def _strftime(switch: Switch, argument: str) -> str:
    return time.strftime(argument or "%Y-%m-%d %T", time.localtime(switch.now()))


def _many(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


_COMMANDS: dict[str, Callable[[Switch, str], str]] = {
    "sofia": _sofia,
    "sofia_gateway_data": _gateway_data,
    "reloadxml": _reloadxml,
    "global_getvar": _global_getvar,
    "status": _switch_status,
    "version": _version,
    "originate": _originate,
    "uuid_kill": _uuid_kill,
    "uuid_exists": _uuid_exists,
    "uuid_getvar": _uuid_getvar,
    "show": _show,
    "strepoch": _strepoch,
    "strftime": _strftime,
    "hostname": lambda switch, _: switch.config.hostname,
    "echo": lambda _, argument: argument,
}
