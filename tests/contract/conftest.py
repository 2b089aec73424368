"""One switch for the suite: the one that SIPGW_SWITCH_ESL names, else a simulator of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.esl import Esl
from tests.contract.lab import Lab, Where

#: The simulator's clock runs this much faster: the suite's waits are waits for the switch's ticks.
SPEED = 8.0
REGISTRAR = "127.0.0.1:15070"


@pytest.fixture(scope="session")
def where(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Where]:
    real = os.environ.get("SIPGW_SWITCH_ESL")
    if real:
        host, _, port = real.rpartition(":")
        yield Where(
            esl=(host, int(port)),
            password=os.environ.get("SIPGW_SWITCH_PASSWORD", "ClueCon"),
            conf=Path(os.environ["SIPGW_SWITCH_CONF"]),
            registrar=os.environ["SIPGW_REGISTRAR"],
            log=Path(os.environ["SIPGW_SWITCH_LOG"]),
        )
        return
    folder = tmp_path_factory.mktemp("switch")
    log = folder / "log"
    log.mkdir()
    command = [sys.executable, "-m", "sipgateway", "simulator", "--init", "--conf", str(folder / "conf")]
    command += ["--esl", "127.0.0.1:0", "--control", str(folder / "control"), "--log", str(log)]
    command += ["--registrar", f"{REGISTRAR}=accept", "--registrar", "*=silent", "--speed", str(SPEED)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            ready = json.loads(process.stdout.readline())
            host, _, port = ready["esl"].rpartition(":")
            yield Where(
                esl=(host, int(port)),
                password="ClueCon",
                conf=folder / "conf",
                registrar=REGISTRAR,
                log=log / "freeswitch.log",
                control=ready["control"],
                speed=SPEED,
            )
        finally:
            process.terminate()
            process.wait(10)


@pytest.fixture
def lab(where: Where) -> Iterator[Lab]:
    log_from = where.log.stat().st_size if where.log.exists() else 0
    esl = Esl(*where.esl, where.password)
    lab = Lab(where, esl, log_from=log_from, connections=[esl])
    _wait_for_profiles(lab)
    yield lab
    lab.clean()


def _wait_for_profiles(lab: Lab) -> None:
    deadline = time.monotonic() + 20
    while lab.api("sofia status").count("RUNNING") < 2:
        assert time.monotonic() < deadline, "the profiles external and internal do not run"
        time.sleep(0.1)
