"""A real FreeSWITCH with a Kamailio as its registrar, for the tests that take one: both are started, and both end.

    python -m tests.contract.real FREESWITCH KAMAILIO [options of pytest, tests ...]

FREESWITCH and KAMAILIO are programs on this machine. Where no tests are named, the contract suite and the agent's tests
of a switch are run. Ports of 127.0.0.1 are used: 5060, 5061, 5080, 8021 and 15070.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from sipgateway.simulator.skeleton import write_skeleton
from tests.controlplane.process import Program

TESTS = ("tests/contract", "tests/agent")
REGISTRAR = ("127.0.0.1", 15070)
ESL = ("127.0.0.1", 8021)

#: What a real switch needs above the simulator's tree.
_MODULES = """\
    <configuration name="modules.conf">
      <modules>
        <load module="mod_logfile"/>
        <load module="mod_event_socket"/>
        <load module="mod_commands"/>
        <load module="mod_dptools"/>
        <load module="mod_dialplan_xml"/>
        <load module="mod_sofia"/>
      </modules>
    </configuration>
    <configuration name="switch.conf">
      <settings>
        <param name="loglevel" value="debug"/>
        <param name="rtp-start-port" value="16384"/>
        <param name="rtp-end-port" value="16484"/>
      </settings>
    </configuration>
    <configuration name="logfile.conf">
      <profiles>
        <profile name="default">
          <mappings>
            <map name="all" value="debug,info,notice,warning,err,crit,alert"/>
          </mappings>
        </profile>
      </profiles>
    </configuration>
"""

_KAMAILIO = """\
#!KAMAILIO
debug=1
log_stderror=yes
children=2
auto_aliases=no
listen=udp:127.0.0.1:15070
listen=tcp:127.0.0.1:15070
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "auth.so"
modparam("usrloc", "db_mode", 0)
modparam("registrar", "max_expires", 3600)
modparam("registrar", "min_expires", 10)

request_route {
    if (is_method("ACK")) exit;
    if (is_method("INVITE")) {
        append_to_reply("Contact: <sip:echo@127.0.0.1:15070>\\r\\n");
        $var(sdp) = "v=0\\r\\no=- 1 1 IN IP4 127.0.0.1\\r\\ns=-\\r\\nc=IN IP4 127.0.0.1\\r\\nt=0 0\\r\\n";
        set_reply_body("$var(sdp)m=audio 19000 RTP/AVP 0 8\\r\\n", "application/sdp");
        sl_send_reply("200", "OK");
        exit;
    }
    if (!is_method("REGISTER")) {
        sl_send_reply("200", "OK");
        exit;
    }
    if (!pv_www_authenticate("$fd", "pw-$au", "0")) {
        if ($rc == -2) {
            sl_send_reply("403", "Forbidden");
        } else {
            www_challenge("$fd", "0");
        }
        exit;
    }
    save("location");
}
"""


def _answers(address: tuple[str, int]) -> bool:
    with socket.socket() as door:
        door.settimeout(1)
        return door.connect_ex(address) == 0


@contextlib.contextmanager
def _running(command: list[str], ready: tuple[str, int], log: Path) -> Iterator[None]:
    name = Path(command[0]).name
    program = Program(name, command, log, is_ready=lambda: _answers(ready), ready_within=30)
    program.start()
    try:
        yield
    finally:
        program.stop()


def main(freeswitch: str, kamailio: str, *arguments: str) -> int:
    """pytest's exit code."""
    if any(map(_answers, (ESL, REGISTRAR))):
        raise SystemExit("something listens on 127.0.0.1:8021 or 127.0.0.1:15070 already")
    named = () if any(Path(one.partition("::")[0]).exists() for one in arguments) else TESTS
    with tempfile.TemporaryDirectory(prefix="sipgw-real-") as scratch:
        folder = Path(scratch)
        for name in ("log", "db", "run", "storage", "cache", "certs"):
            (folder / name).mkdir()
        conf = folder / "conf"
        write_skeleton(conf)
        root = conf / "freeswitch.xml"
        first = '  <section name="configuration">\n'
        root.write_text(root.read_text().replace(first, first + _MODULES, 1))
        (folder / "kamailio.cfg").write_text(_KAMAILIO)
        switch = [freeswitch, "-nf", "-nonat", "-nort", "-conf", str(conf), "-log", str(folder / "log")]
        switch += [
            word for name in ("db", "run", "storage", "cache", "certs") for word in (f"-{name}", str(folder / name))
        ]
        registrar = [kamailio, "-DD", "-E", "-f", str(folder / "kamailio.cfg"), "-Y", str(folder / "run")]
        environment = os.environ | {
            "SIPGW_SWITCH_ESL": f"{ESL[0]}:{ESL[1]}",
            "SIPGW_SWITCH_CONF": str(conf),
            "SIPGW_SWITCH_LOG": str(folder / "log" / "freeswitch.log"),
            "SIPGW_SWITCH_DESTRUCTIVE": "1",
            "SIPGW_REGISTRAR": f"{REGISTRAR[0]}:{REGISTRAR[1]}",
        }
        with _running(registrar, REGISTRAR, folder / "kamailio.log"), _running(switch, ESL, folder / "freeswitch.out"):
            return subprocess.run(
                [sys.executable, "-m", "pytest", *arguments, *named], env=environment, check=False
            ).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
