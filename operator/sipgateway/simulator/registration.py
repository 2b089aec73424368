"""The registration state machine: what one tick does to each gateway, and what SIP answers do to it.

In: a profile, the time, answers of registrars. Out: changed gateways, events, messages through the `Stack`.
The order of steps is that of sofia_reg_check_gateway, sofia_reg_handle_sip_r_register, ..._r_challenge and
sofia_handle_sip_r_options in mod_sofia; facts 15 to 17a, 23, 35 to 38.
"""

from __future__ import annotations

from typing import Protocol

from sipgateway.simulator.gateway import LoadedGateway, State
from sipgateway.simulator.profile import Profile
from sipgateway.simulator.registrar import Answer

_NO_ANSWER = 908


class Stack(Protocol):
    """What the state machine needs of the switch."""

    def find_gateway(self, name: str) -> LoadedGateway | None:
        """The gateway that a look-up by name gives."""
        ...

    def forget(self, gateway: LoadedGateway) -> None:
        """Takes a deleted gateway out of the look-ups, as the tick does."""
        ...

    def deleted(self, gateway: LoadedGateway) -> None:
        """Says that a gateway is gone for good."""
        ...

    def state_event(self, gateway: LoadedGateway, status: int, phrase: str) -> None:
        """Fires `sofia::gateway_state`."""
        ...

    def invalid_digest(self, gateway: LoadedGateway, realm: str) -> None:
        """Fires `sofia::gateway_invalid_digest_req`."""
        ...

    def set_up(self, gateway: LoadedGateway, up: bool) -> None:
        """Sets UP or DOWN."""
        ...

    def may_challenge(self, gateway: LoadedGateway, source: str) -> bool:
        """Whether a challenge from this address is answered (fact 35)."""
        ...

    def send_register(self, gateway: LoadedGateway) -> None:
        """Sends a REGISTER on the gateway's handle."""
        ...

    def send_unregister(self, gateway: LoadedGateway) -> None:
        """Sends the un-REGISTER of a handle that is destroyed with it."""
        ...

    def send_options(self, gateway: LoadedGateway) -> None:
        """Sends an OPTIONS ping."""
        ...

    def authenticate(self, handle: LoadedGateway, credentials: LoadedGateway, answer: Answer) -> None:
        """Answers a challenge on one copy's handle with another's user and password (fact 17a)."""
        ...

    def log(self, level: str, text: str) -> None:
        """Writes a line of the switch's log."""
        ...


def tick(stack: Stack, profile: Profile, now: float) -> None:
    """One tick of a profile: deletions, pings, then a step of each state."""
    second = int(now)
    _delete_marked(stack, profile)
    for gateway in tuple(profile.gateways):
        before = gateway.state
        if before is State.NOREG and not gateway.ping and gateway.up:
            continue
        if (
            gateway.ping
            and not gateway.pinging
            and not gateway.deleted
            and second >= gateway.ping
            and before in {State.NOREG, State.REGED}
        ):
            gateway.pinging = True
            gateway.ping_sent = now
            stack.send_options(gateway)
        _step(stack, gateway, before, second)
        if gateway.state is not before:
            stack.state_event(gateway, 0, "")


def _delete_marked(stack: Stack, profile: Profile) -> None:
    if not any(gateway.deleted for gateway in profile.gateways):
        return
    kept: list[LoadedGateway] = []
    gone: list[LoadedGateway] = []
    for gateway in profile.gateways:
        if gateway.deleted:
            stack.forget(gateway)
        over = gateway.deleted and gateway.state in {State.NOREG, State.DOWN}
        (gone if over else kept).append(gateway)
    profile.gateways = kept
    for gateway in gone:
        stack.log("NOTICE", f"Deleted gateway {gateway.name}")
        stack.deleted(gateway)


def _step(stack: Stack, gateway: LoadedGateway, state: State, second: int) -> None:
    match state:
        case State.DOWN | State.NOREG:
            if not gateway.ping and not gateway.pinging:
                stack.set_up(gateway, True)
        case State.REGISTER:
            gateway.failures = 0
            frequency = gateway.frequency
            gateway.expires = second + max(1, frequency - 15 if frequency > 30 else frequency // 2)
            gateway.state = State.REGED
            stack.set_up(gateway, True)
        case State.UNREGISTER:
            _kill_registration(stack, gateway, state)
            gateway.state = State.DOWN
            stack.set_up(gateway, False)
        case State.UNREGED:
            gateway.has_handle = True
            gateway.retry = second + gateway.retry_seconds
            gateway.reg_timeout = second + gateway.timeout_seconds
            gateway.state = State.TRYING
            stack.log("NOTICE", f"Registering {gateway.name}")
            stack.send_register(gateway)
        case State.TIMEOUT:
            stack.log("WARNING", f"Timeout Registering {gateway.name}")
            _destroy_handle(gateway)
            gateway.state = State.FAILED
            gateway.failures += 1
            gateway.failure_status = _NO_ANSWER
        case State.FAILED:
            seconds = _retry_after(gateway)
            stack.log(
                "WARNING",
                f"{gateway.name} Failed Registration [{gateway.failure_status}], setting retry to {seconds} seconds.",
            )
            gateway.retry = second + seconds
            gateway.state = State.FAIL_WAIT
            gateway.failure_status = 0
            stack.set_up(gateway, False)
        case State.FAIL_WAIT:
            if not gateway.retry or second >= gateway.retry:
                gateway.state = State.UNREGED
        case State.TRYING:
            if second >= gateway.reg_timeout:
                gateway.state = State.TIMEOUT
        case _:
            if second >= gateway.expires:
                gateway.state = State.UNREGED


def _retry_after(gateway: LoadedGateway) -> int:
    """Seconds until the next try: they grow with the failures, without a cap (fact 23)."""
    if gateway.retry_908_seconds and gateway.failure_status == _NO_ANSWER:
        return gateway.retry_908_seconds
    if gateway.failure_status in {503, _NO_ANSWER} or gateway.failures < 1:
        return gateway.retry_seconds
    return gateway.retry_seconds * gateway.failures


def _kill_registration(stack: Stack, gateway: LoadedGateway, state: State) -> None:
    if not gateway.has_handle:
        return
    if state in {State.REGED, State.UNREGISTER}:
        stack.log("NOTICE", f"UN-Registering {gateway.name}")
        stack.send_unregister(gateway)
    else:
        stack.log("NOTICE", f"Destroying registration handle for {gateway.name}")
    _destroy_handle(gateway)


def _destroy_handle(gateway: LoadedGateway) -> None:
    gateway.has_handle = False
    gateway.generation += 1
    gateway.shown = None


def unregister_all(stack: Stack, profile: Profile) -> None:
    """A profile's end: every REGED gateway un-registers."""
    for gateway in profile.gateways:
        if gateway.state is State.REGED:
            _kill_registration(stack, gateway, State.REGED)


def answer_to_register(stack: Stack, handle: LoadedGateway, answer: Answer) -> None:
    """A final answer (or sofia's own 100, 408, 904) to a REGISTER.

    It counts for whichever gateway has the name now, not for the copy that asked (fact 17a).
    """
    gateway = stack.find_gateway(handle.handle_name)
    if gateway is None:
        return
    before, known = gateway.state, gateway.network_ip
    if answer.source:
        gateway.network_ip, gateway.network_port = answer.source, answer.port
    if answer.status == 200:
        gateway.state = State.REGISTER
    elif answer.status != 100:
        gateway.state = State.FAILED
        gateway.failure_status = answer.status
        gateway.failures += 1
        stack.log(
            "ERR",
            f"{gateway.name} Failed Registration with status {answer.phrase} [{answer.status}]. "
            f"failure #{gateway.failures}",
        )
    if gateway.state is not before or (gateway.network_ip and gateway.network_ip != known):
        stack.state_event(gateway, answer.status, answer.phrase)


def challenged(stack: Stack, handle: LoadedGateway, answer: Answer) -> None:
    """A 401 or 407: answered only when it comes from an address of the gateway (fact 35)."""
    gateway = stack.find_gateway(handle.handle_name)
    if gateway is not None and stack.may_challenge(gateway, answer.source):
        stack.authenticate(handle, gateway, answer)
        return
    if gateway is not None:
        stack.invalid_digest(gateway, f'"{answer.realm}"')
    stack.log(
        "WARNING",
        "Cannot locate any authentication credentials to complete an authentication request for realm "
        f"'\"{answer.realm}\"'",
    )


def answer_to_options(stack: Stack, handle: LoadedGateway, answer: Answer, now: float) -> None:
    """An answer to a ping (fact 37)."""
    gateway = stack.find_gateway(handle.handle_name)
    if gateway is None:
        return
    changed = False
    if 200 <= answer.status < 600 and answer.status not in {408, 503}:
        if gateway.state is State.FAILED:
            gateway.state = State.UNREGED
        gateway.ping_count = max(gateway.ping_count, 0)
        if gateway.ping_count < gateway.ping_max:
            gateway.ping_count += 1
            if gateway.ping_count >= gateway.ping_min and not gateway.up:
                stack.set_up(gateway, True)
                changed = True
            stack.log("WARNING", f"Ping succeeded {gateway.name} with code {answer.status} - {_count(gateway)}")
        if gateway.ping_sent:
            gateway.ping_time = (now - gateway.ping_sent) * 1000
            gateway.ping_sent = 0.0
    else:
        if gateway.state is State.REGED:
            stack.log("WARNING", f"Unregister {gateway.name}")
            gateway.state = State.FAILED
            gateway.ping_time = 0.0
        gateway.ping_count -= gateway.ping_count > 0
        if gateway.ping_count < gateway.ping_min and gateway.up:
            stack.set_up(gateway, False)
            gateway.ping_time = 0.0
            changed = True
        stack.log("WARNING", f"Ping failed {gateway.name} with code {answer.status} - {_count(gateway)}")
    if gateway.ping_monitoring or changed:
        stack.state_event(gateway, answer.status, answer.phrase)
    gateway.ping = int(now) + gateway.ping_frequency
    gateway.pinging = False


def _count(gateway: LoadedGateway) -> str:
    return f"count {gateway.ping_min}/{gateway.ping_count}/{gateway.ping_max}, state {gateway.status}"
