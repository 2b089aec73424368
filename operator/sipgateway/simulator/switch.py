"""The simulated switch: mod_sofia's profiles and gateways on a clock that is told to it. No sockets, no waiting.

In: `advance(to)` and commands (commands.py). Out: events to subscribers, a log, records for tests.
The two look-up tables, gateways by `name` and by `profile::name`, are kept exactly as mod_sofia keeps them, because
ghosts, copies that are marked and stale keys come from their very order of steps (facts 11, 24a, 24b).
"""

from __future__ import annotations

import heapq
import itertools
import random
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from sipgateway.render.readback import ReadGateway
from sipgateway.simulator import registration
from sipgateway.simulator.events import Event, Origin
from sipgateway.simulator.gateway import Dropped, LoadedGateway, State, load, remarks
from sipgateway.simulator.journal import Availability, Call, Command
from sipgateway.simulator.logfile import Log
from sipgateway.simulator.network import Network
from sipgateway.simulator.profile import Profile
from sipgateway.simulator.registrar import Answer, Behaviour
from sipgateway.simulator.tree import ProfileTree, Tree
from sipgateway.simulator.words import is_gateway_name

#: A profile must have been up for so long before it stops or restarts (fact 30), seconds.
MIN_UPTIME = 10
#: From a restart's command to the end of the old life, and to the gateways' deletion before it, seconds.
_STOP_SECONDS = 2.3
_CLEANUP_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class SwitchConfig:
    """How the switch is made.

    Attributes:
        folder: configuration folder with freeswitch.xml.
        log_folder: for freeswitch.log and the expanded XML.
        tick: seconds between ticks; a real switch's is about 1.0025 (fact 15).
        phase: first tick after a profile's start, seconds.
        default_registrar: behaviour of addresses without a registrar of their own.
        seed: of every chance in it.
        variables: global variables beside those that the switch sets itself.
        hostname: in events and status.
    """

    folder: Path
    log_folder: Path
    tick: float = 1.0
    phase: float = 1.0
    default_registrar: Behaviour = field(default_factory=lambda: Behaviour(password=""))
    seed: int = 1
    variables: tuple[tuple[str, str], ...] = ()
    hostname: str = "sipgw-simulator"


class Switch:
    """A switch in memory.

    Args:
        config: how it is made.
        now: time of its start, seconds since the epoch.
    """

    def __init__(self, config: SwitchConfig, now: float) -> None:
        self.config = config
        self.log_file = Log(config.log_folder / "freeswitch.log")
        self.network = Network(self, config.default_registrar, config.seed)
        self.availability = Availability()
        self.commands: list[Command] = []
        self.calls: dict[str, Call] = {}
        self.profiles: dict[str, Profile] = {}
        self.listeners: list[Callable[[Event], None]] = []
        self.origin = Origin(core_uuid="", hostname=config.hostname)
        self.started = now
        self.random = random.Random(config.seed)  # noqa: S311 -- seeded on purpose
        self.sessions = 0
        self._now = now
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._sequence = itertools.count(500)
        self._lives = itertools.count(1)
        self._table: dict[str, LoadedGateway] = {}
        self.tree = self._new_tree()
        self._boot()

    # -- time ---------------------------------------------------------------------------------------------------

    def now(self) -> float:
        """Time, seconds since the epoch."""
        return self._now

    def advance(self, to: float) -> None:
        """Lets time pass: everything that is due until `to` happens, in order. Going back is ignored."""
        while self._timers and self._timers[0][0] <= to:
            at, _, action = heapq.heappop(self._timers)
            self._now = max(self._now, at)
            action()
        self._now = max(self._now, to)

    def next_due(self) -> float | None:
        """When something happens by itself next, seconds since the epoch."""
        return self._timers[0][0] if self._timers else None

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Runs an action after simulated seconds."""
        heapq.heappush(self._timers, (self._now + seconds, next(self._order), action))

    # -- life of the switch -------------------------------------------------------------------------------------

    def restart(self) -> None:
        """Kills the process and starts it again: everything comes from the files (fact 24). Bindings stay."""
        for name in self._names():
            self.availability.note(name, self._now, "GONE")
        for call in self.calls.values():
            call.until = call.until or self._now
        self.profiles, self._table, self._timers = {}, {}, []
        self.started = self._now
        self.tree = self._new_tree()
        self._boot()

    def _boot(self) -> None:
        answer = self.tree.reload()
        if answer != "Success":
            self.log("CRIT", f"Cannot load configuration: {answer}")
        for name in self.tree.configuration.profiles:
            self.start_profile(name)

    def _new_tree(self) -> Tree:
        self.origin = Origin(core_uuid=str(uuid.uuid4()), hostname=self.config.hostname)
        folder, log_folder = str(self.config.folder), str(self.config.log_folder)
        own = {
            "core_uuid": self.origin.core_uuid,
            "hostname": self.config.hostname,
            "switchname": self.config.hostname,
            "base_dir": folder,
            "conf_dir": folder,
            "log_dir": log_folder,
            "local_ip_v4": "127.0.0.1",
            "domain": "sipgw.example.com",
        }
        return Tree(self.config.folder, self.config.log_folder, own | dict(self.config.variables), self.log)

    # -- profiles -----------------------------------------------------------------------------------------------

    def find_profile(self, name: str) -> Profile | None:
        """The running profile of that name (fact 30)."""
        profile = self.profiles.get(name)
        return profile if profile is not None and profile.running else None

    def start_profile(self, name: str) -> bool:
        """Starts a profile of the tree in memory; False when the tree has none, or it could not start.

        A profile whose earlier life never ended stays unreachable (fact 28).
        """
        tree = self.tree.configuration.profiles.get(name)
        if tree is None:
            self.log("WARNING", f"No Such Profile '{name}'")
            return False
        if name in self.profiles:
            return True
        profile = Profile(name, tree.settings, self._now, next(self._lives))
        self.profiles[name] = profile
        self.log("NOTICE", f"Started Profile {name} [sofia_reg_{name}]")
        headers = (("module_name", "mod_sofia"), ("profile_name", name), ("profile_uri", profile.url))
        self.fire("CUSTOM", "sofia::profile_start", headers)
        self._scan(profile, tree)
        self.later(self.config.phase, lambda: self._tick(profile))
        return True

    def stop_profile(self, profile: Profile, *, respawn: bool) -> None:
        """Stops a profile; with `respawn` it starts again when its old life ended: never, with a leaked lock (28)."""
        profile.running = False
        for gateway in profile.gateways:
            self._observe(gateway.name)
        for call in self.calls.values():
            if call.gateway.profile == profile.name and call.until is None:
                self.end_call(call)

        def clean_up() -> None:
            self.mark_all(profile)
            registration.tick(self, profile, self._now)
            registration.tick(self, profile, self._now)
            registration.unregister_all(self, profile)

        def ended() -> None:
            self.log("DEBUG", f"Write lock {profile.name}")
            if profile.leaked_locks:
                return
            # Keys that a move left behind stay: only gateways that are still listed are taken out (fact 24a).
            for gateway in profile.gateways:
                self._table.pop(gateway.name, None)
                self._table.pop(f"{profile.name}::{gateway.name}", None)
            del self.profiles[profile.name]
            self.log("DEBUG", f"Write unlock {profile.name}")
            if respawn:
                self.start_profile(profile.name)

        self.later(_CLEANUP_SECONDS, clean_up)
        self.later(_STOP_SECONDS, ended)

    def rescan(self, profile: Profile) -> bool:
        """Adds what the tree in memory has and the switch has not; applies changed settings (facts 1, 29)."""
        tree = self.tree.configuration.profiles.get(profile.name)
        if tree is None:
            self.log("WARNING", f"No Such Profile '{profile.name}'")
            return False
        profile.settings = tree.settings
        self._scan(profile, tree)
        return True

    def start_gateway(self, profile: Profile, name: str) -> None:
        """`startgw`: one gateway, or `_all_`, of the profile's configuration; the directory is not looked at."""
        tree = self.tree.configuration.profiles.get(profile.name)
        if tree is not None:
            self._add(profile, (read for read in tree.gateways if name in {"_all_", read.name}))

    def _scan(self, profile: Profile, tree: ProfileTree) -> None:
        self._add(profile, tree.gateways)
        directory = self.tree.configuration.directory
        for domain in tree.domains:
            if domain.parse:
                names = directory if domain.name.lower() == "all" else (domain.name,)
                for name in names:
                    self._add(profile, directory.get(name, ()))

    def _tick(self, profile: Profile) -> None:
        if not profile.running:
            return
        registration.tick(self, profile, self._now)
        self.later(self.config.tick, lambda: self._tick(profile))

    # -- gateways -----------------------------------------------------------------------------------------------

    def find_gateway(self, key: str) -> LoadedGateway | None:
        """Look-up by name or `profile::name`; a marked copy is not found, nor one of a profile that stops."""
        gateway = self._table.get(key)
        if gateway is None or gateway.deleted or self.find_profile(gateway.profile) is None:
            return None
        return gateway

    def mark(self, gateway: LoadedGateway) -> None:
        """Marks a gateway for deletion (fact 14)."""
        if gateway.deleted:
            return
        if gateway.state is not State.NOREG:
            gateway.retry = 0
            gateway.state = State.UNREGISTER
        gateway.deleted = True
        self._observe(gateway.name)

    def mark_all(self, profile: Profile) -> None:
        """Marks every gateway of a profile."""
        for gateway in profile.gateways:
            self.mark(gateway)

    def _add(self, profile: Profile, reads: Iterable[ReadGateway]) -> None:
        for read in reads:
            key = f"{profile.name}::{read.name}"
            if not is_gateway_name(read.name):
                self.log("ERR", f"Ignoring invalid name '{read.name}'")
                continue
            known = self._table.get(key) if read.name in self._table else None
            if known is not None and not known.deleted:
                self.log("WARNING", f"Ignoring duplicate gateway '{read.name}'")
                continue
            try:
                gateway = load(read, profile.name, profile.settings, self._now, self.tree.epoch)
            except Dropped as dropped:
                self.log("ERR", str(dropped))
                continue
            for line in remarks(read):
                self.log("WARNING", line)
            self._insert(profile, gateway, key)

    def _insert(self, profile: Profile, gateway: LoadedGateway, key: str) -> None:
        """sofia_reg_add_gateway: a name that another profile has makes a ghost, in no table (fact 11)."""
        profile.add(gateway)
        known = self._table.get(gateway.name)
        if known is not None and known.deleted:
            self._table.pop(gateway.name, None)
            self._table.pop(key, None)
        if gateway.name in self._table or key in self._table:
            return
        self._table[gateway.name] = self._table[key] = gateway
        self.log("NOTICE", f"Added gateway '{gateway.name}' to profile '{profile.name}'")
        self.fire("CUSTOM", "sofia::gateway_add", (("Gateway", gateway.name), ("profile-name", profile.name)))
        self._observe(gateway.name)

    def forget(self, gateway: LoadedGateway) -> None:
        """Takes a deleted gateway out of the look-ups, if the name is still its own."""
        if self._table.get(gateway.name) is gateway:
            self._table.pop(f"{gateway.profile}::{gateway.name}", None)
            del self._table[gateway.name]

    def deleted(self, gateway: LoadedGateway) -> None:
        """Says that a gateway is gone for good."""
        headers = (("profile-name", gateway.profile), ("Gateway", gateway.name))
        self.fire("CUSTOM", "sofia::gateway_delete", headers)

    def set_up(self, gateway: LoadedGateway, up: bool) -> None:
        """Sets UP or DOWN."""
        if gateway.up == up:
            return
        gateway.up = up
        if up:
            gateway.up_since = self._now
        self._observe(gateway.name)

    def _observe(self, name: str) -> None:
        gateway = self.find_gateway(name)
        how = "GONE" if gateway is None else gateway.status
        self.availability.note(name, self._now, how)

    def _names(self) -> list[str]:
        return [name for name, gateway in self._table.items() if name == gateway.name]

    # -- what registration.py and network.py need ---------------------------------------------------------------

    def state_event(self, gateway: LoadedGateway, status: int, phrase: str) -> None:
        """Fires `sofia::gateway_state`: no profile name in it (fact 22)."""
        headers = [("Gateway", gateway.name), ("State", gateway.state.value), ("Ping-Status", gateway.status)]
        if gateway.network_ip:
            headers.append(("Register-Network-IP", gateway.network_ip))
            headers.append(("Register-Network-Port", str(gateway.network_port)))
        if phrase:
            headers.append(("Phrase", phrase))
        if status:
            headers.append(("Status", str(status)))
        self.fire("CUSTOM", "sofia::gateway_state", tuple(headers))

    def invalid_digest(self, gateway: LoadedGateway, realm: str) -> None:
        """Fires `sofia::gateway_invalid_digest_req` (fact 35)."""
        headers = (("Gateway", gateway.name), ("profile-name", gateway.profile), ("realm", realm))
        self.fire("CUSTOM", "sofia::gateway_invalid_digest_req", headers)

    def may_challenge(self, gateway: LoadedGateway, source: str) -> bool:
        """Whether a challenge from this address is answered (fact 35)."""
        return self.network.may_challenge(gateway, source)

    def send_register(self, gateway: LoadedGateway) -> None:
        """Sends a REGISTER."""
        self.network.send_register(gateway)

    def send_unregister(self, gateway: LoadedGateway) -> None:
        """Sends an un-REGISTER."""
        self.network.send_unregister(gateway)

    def send_options(self, gateway: LoadedGateway) -> None:
        """Sends a ping."""
        self.network.send_options(gateway)

    def authenticate(self, handle: LoadedGateway, credentials: LoadedGateway, answer: Answer) -> None:
        """Answers a challenge."""
        self.network.authenticate(handle, credentials, answer)

    def profile_of(self, gateway: LoadedGateway) -> Profile:
        """The profile that a gateway belongs to; its last settings when it has gone."""
        known = self.profiles.get(gateway.profile)
        return known or Profile(gateway.profile, {}, self._now, 0, running=False)

    def epoch(self) -> int:
        """Number of the XML tree in memory."""
        return self.tree.epoch

    def networks(self, acl: str) -> tuple[str, ...]:
        """CIDRs of an ACL list."""
        return self.tree.configuration.lists.get(acl, ())

    # -- calls, events, log -------------------------------------------------------------------------------------

    def start_call(self, gateway: LoadedGateway, number: str) -> Call:
        """A call goes out and is answered; it survives its gateway (fact 18)."""
        name = str(uuid.UUID(int=self.random.getrandbits(128), version=4))
        call = Call(name, gateway, number, self._now)
        self.calls[call.uuid] = call
        self.sessions += 1
        gateway.calls_out += 1
        self.network.call(gateway, "INVITE", number, call.uuid)
        return call

    def end_call(self, call: Call) -> None:
        """Hangs up. The BYE goes out even when the gateway of the call has gone (fact 18)."""
        if call.until is not None:
            return
        call.until = self._now
        call.bye = True
        self.network.call(call.gateway, "BYE", call.number, call.uuid)

    def fire(self, name: str, subclass: str, headers: tuple[tuple[str, str], ...], body: str | None = None) -> None:
        """Fires an event."""
        event = Event(name, subclass, headers, self._now, next(self._sequence), body)
        for listener in tuple(self.listeners):
            listener(event)

    def log(self, level: str, text: str) -> None:
        """Writes a line of the switch's log."""
        self.log_file.write(self._now, level, text)
