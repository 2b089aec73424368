"""`sipgw run` lets so many gateways of one registrar begin to register in one second, others beside them."""

from __future__ import annotations

from pathlib import Path

from tests.run.lab import lab, manifest

OTHER = "127.0.0.2:15070"


def test_gateways_begin_to_register_so_many_a_second_and_registrar(tmp_path: Path) -> None:
    with lab(tmp_path, "--registrar", f"{OTHER}=accept") as place:
        for n in range(9):
            place.save(f"a{n}", manifest(f"a{n}", "1", registers=True))
        for n in range(3):
            place.save(f"b{n}", manifest(f"b{n}", "1", registers=True, proxy=OTHER))
            place.save(f"quiet{n}", manifest(f"quiet{n}", "1"))
        done = place.sipgw("run", "--once", "--output=json", "--register-rate=3")
        assert done.returncode == 0, done.stdout
        first: dict[str, float] = {}
        for message in place.control("journal"):
            first.setdefault(message["gateway"], message["at"])
        for label, seconds in (("a", 3), ("b", 1)):
            times = sorted(at for name, at in first.items() if name.startswith(label))
            assert most_at_once(times) == 3
            assert seconds - 1.2 <= times[-1] - times[0] <= seconds + 1
        assert most_at_once([*first.values()]) > 3
        assert {name for name in first if name.startswith("quiet")} == set()


def most_at_once(times: list[float]) -> int:
    """The most of these moments that lie in one second."""
    return max(sum(start <= at < start + 0.9 for at in times) for start in times)
