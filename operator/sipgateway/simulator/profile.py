"""A sofia profile: its gateways newest first, its second's tick, its life. In: its part of the tree. Out: state only.

What happens at a tick stands in registration.py; starting and stopping in switch.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sipgateway.simulator.gateway import LoadedGateway

#: What one loaded gateway costs until the profile restarts (fact 19), bytes.
GATEWAY_MEMORY = 1_300


@dataclass(slots=True, eq=False)
class Profile:
    """A running profile.

    Attributes:
        name: of the profile.
        settings: its parameters, as of the last rescan (fact 29).
        started: seconds since the epoch.
        running: False while it stops; then nobody finds it (fact 30).
        gateways: newest first, ghosts and marked copies included (facts 11, 24b).
        leaked_locks: read locks that nobody gives back (fact 28).
        memory: bytes of its pool that gateways took; only a restart frees them (fact 19).
        life: number of this life of the profile, so that timers of an earlier one are void.
    """

    name: str
    settings: Mapping[str, str]
    started: float
    life: int
    running: bool = True
    gateways: list[LoadedGateway] = field(default_factory=list)
    leaked_locks: int = 0
    memory: int = 0

    @property
    def sip_ip(self) -> str:
        """Address of its socket."""
        return self.settings.get("sip-ip", "127.0.0.1")

    @property
    def sip_port(self) -> str:
        """Port of its socket."""
        return self.settings.get("sip-port", "5060")

    @property
    def url(self) -> str:
        """Its own URI, as `sofia status` shows it."""
        host = self.settings.get("ext-sip-ip") or self.sip_ip
        host = f"[{host}]" if ":" in host else host
        return f"sip:{self.settings.get('username', 'mod_sofia')}@{host}:{self.sip_port}"

    @property
    def local(self) -> str:
        """Address of its Via headers."""
        return f"{self.sip_ip}:{self.sip_port}"

    def add(self, gateway: LoadedGateway) -> None:
        """Puts a gateway in front, where the next tick meets it first."""
        self.gateways.insert(0, gateway)
        self.memory += GATEWAY_MEMORY
