"""A stand-in for FreeSWITCH: mod_sofia's gateways and mod_event_socket, honest about being one (docs/simulator.md).

In: a configuration tree, ESL commands, a clock that tests may drive. Out: what a switch would answer, send and say.
It uses `api` and `render` only, so that it judges the client and the executor and is not made of them.
"""

from sipgateway.simulator.clock import Clock, DrivenClock, RealClock
from sipgateway.simulator.registrar import Behaviour, Registrar
from sipgateway.simulator.simulator import Simulator, SimulatorConfig

__all__ = ["Behaviour", "Clock", "DrivenClock", "RealClock", "Registrar", "Simulator", "SimulatorConfig"]
