"""From any manifest to what the switch reads: exactly what went in, or a refusal with a code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import assume, event, given
from hypothesis import strategies as st

from sipgateway.api.accept import check, check_effective
from sipgateway.api.gateway import Gateway
from sipgateway.api.names import REVISION_VARIABLE
from sipgateway.api.params import BY_FIELD
from sipgateway.api.parse import parse_sipgateway
from sipgateway.api.resolve import SecretView, resolve, text_of
from sipgateway.api.spec import SipGateway
from sipgateway.errors import Finding, Severity
from sipgateway.render.preprocessor import preprocess
from sipgateway.render.proof import prove
from sipgateway.render.readback import read_gateways
from sipgateway.render.revision import RevisionKey, revision
from sipgateway.render.switchxml import parse
from sipgateway.render.xml import RenderError, render, render_sealed
from sipgateway.simulator import DrivenClock, Simulator, SimulatorConfig
from tests.profiles import promised, thorough
from tests.roundtrip.specs import ANY_TEXT, manifests

KEY = RevisionKey(b"0123456789abcdef0123456789abcdef")

#: Global variables of a switch that means harm: any `$${x}` that were left would show.
HOSTILE = MappingProxyType({"default_password": '"/><param name="register" value="false"/>', "x": "no", "y": "no"})


def accepted(manifest: Mapping[str, Any], password: str) -> tuple[SipGateway, Gateway] | None:
    """What the pipeline makes of a manifest; every refusal must have a code, a reason and advice."""
    parsed, findings = parse_sipgateway(manifest)
    findings = tuple(findings)
    effective = None
    if parsed is not None and not refused(findings):
        findings += check(parsed)
        if not refused(findings):
            effective, found = resolve(
                parsed, {"s": SecretView("s", True, {"password": password.encode("utf-8", "surrogatepass")})}
            )
            findings += found
            if effective is not None:
                findings += check_effective(effective)
    for finding in findings:
        assert finding.code
        assert finding.message
        assert finding.action
    if parsed is None or effective is None or refused(findings):
        event("refused")
        return None
    event("accepted")
    return parsed, effective


def refused(findings: tuple[Finding, ...]) -> bool:
    return any(f.severity is Severity.ERROR for f in findings)


@promised
@given(manifests(), st.one_of(st.text(min_size=1, max_size=20), ANY_TEXT))
def test_an_accepted_spec_reads_back_exactly_under_any_global_variables(
    manifest: dict[str, Any], password: str
) -> None:
    taken = accepted(manifest, password)
    if taken is None:
        return
    parsed, gateway = taken
    mark = revision(gateway, KEY)
    data = render(gateway, mark)
    prove(gateway, mark, data)
    expanded = preprocess(data, file="sipgw-x.xml", variables=HOSTILE)
    assert not expanded.directives
    assert dict(expanded.variables).items() >= HOSTILE.items()
    (found,) = read_gateways(parse(b"<gateways>\n" + expanded.data + b"</gateways>"))
    assert found.name == parsed.gateway_name
    values = dict(found.params)
    assert len(values) == len(found.params)
    for field, given_value in parsed.spec.params.items():
        assert values.pop(BY_FIELD[field].xml) == text_of(given_value)
    for extra in parsed.spec.extra_params:
        assert values.pop(extra.name) == extra.value
    if parsed.spec.password_from:
        assert values.pop("password") == password
    assert not values
    assert found.variables[0] == (REVISION_VARIABLE, mark, "outbound")
    assert list(found.variables[1:]) == [(v.name, v.value, v.direction) for v in parsed.spec.variables]


@thorough
@given(manifests(), st.text(alphabet="ЖЗИКЛМ", min_size=12, max_size=30))
def test_the_sealed_form_holds_no_secret_and_is_the_same_otherwise(manifest: dict[str, Any], password: str) -> None:
    assume(password not in repr(manifest))
    taken = accepted(manifest, password)
    if taken is None:
        return
    gateway = taken[1]
    data = render_sealed(gateway, revision(gateway, KEY), lambda name, _: f"k1:{name}")
    assert password.encode() not in data
    (found,) = read_gateways(parse(preprocess(data, file="x").data))
    secret = {p.name for p in gateway.parameters if p.secret}
    assert found.params == tuple((p.name, "" if p.name in secret else p.value) for p in gateway.parameters)


@promised
@given(
    st.one_of(st.just({}), st.dictionaries(st.sampled_from(sorted(BY_FIELD)), ANY_TEXT, max_size=3)),
    st.one_of(st.just("v"), ANY_TEXT),
    ANY_TEXT,
)
def test_any_text_in_any_field_arrives_exactly_or_is_refused(fields: dict[str, str], name: str, text: str) -> None:
    """Fields of any type, filled with any text: nothing raises, nothing arrives changed."""
    spec: dict[str, Any] = {"register": False, "proxy": "sip.example.com", **fields}
    spec["variables"] = [{"name": name, "value": text}]
    manifest = {
        "apiVersion": "sipgateway.dev/v1alpha1", "kind": "SipGateway", "metadata": {"name": "acme"}, "spec": spec,
    }  # fmt: skip
    taken = accepted(manifest, "x")
    if taken is None:
        return
    mark = revision(taken[1], KEY)
    prove(taken[1], mark, render(taken[1], mark))


@thorough
@given(st.text(max_size=60))
def test_the_renderer_alone_carries_any_text_or_says_which_field(text: str) -> None:
    """What acceptance would refuse must not get through the renderer changed either."""
    from sipgateway.api.gateway import Parameter, Target  # noqa: PLC0415
    from sipgateway.api.spec import Variable  # noqa: PLC0415

    gateway = Gateway("a", Target("external"), (Parameter("realm", text),), (Variable("v", text),))
    if any(
        (ord(c) < 32 and c not in "\t\n\r") or 0xD800 <= ord(c) < 0xE000 or ord(c) in (0xFFFE, 0xFFFF) for c in text
    ):
        with pytest.raises(RenderError) as refusal:
            render(gateway, "r")
        assert refusal.value.finding.field == "spec.realm"
        return
    data = render(gateway, "r")
    prove(gateway, "r", data)
    (found,) = read_gateways(parse(preprocess(data, file="x", variables=HOSTILE).data))
    assert found.get("realm") == text
    assert found.variables[1] == ("v", text, None)


@pytest.fixture(scope="module")
def switch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    """A simulated switch that nobody starts: its model is enough."""
    conf, log = tmp_path_factory.mktemp("conf"), tmp_path_factory.mktemp("log")
    simulator = Simulator(
        SimulatorConfig(conf=conf, log_folder=log, init=True, clock=DrivenClock(), registrars=("*=accept",))
    )
    yield simulator
    simulator.switch.log_file.close()


@given(manifest=manifests())
def test_the_simulated_switch_loads_an_accepted_spec_with_its_variables(
    switch: Simulator, manifest: dict[str, Any]
) -> None:
    taken = accepted(manifest, "pw-x")
    if taken is None:
        return
    gateway = taken[1]
    mark = revision(gateway, KEY)
    folder = "directory_gateways" if gateway.target.directory else "sip_profiles/external"
    profile = "internal" if gateway.target.directory else "external"
    file = switch.config.conf / folder / "sipgw-x.xml"
    file.write_bytes(render(gateway, mark))
    try:
        scan = api(switch, f"sofia profile {profile} rescan")
        assert scan.startswith("Reload XML [Success]")
        if profile == "external" and gateway.get("register-transport") == "tls":  # a profile without TLS (fact 13)
            assert api(switch, f"sofia_gateway_data {gateway.name} ovar {REVISION_VARIABLE}") == "-ERR no reply\n"
            return
        assert api(switch, f"sofia_gateway_data {gateway.name} ovar {REVISION_VARIABLE}") == mark
        for variable in gateway.variables:
            for leg, word in (("ivar", "inbound"), ("ovar", "outbound")):
                if variable.direction in (None, word):
                    assert api(switch, f"sofia_gateway_data {gateway.name} {leg} {variable.name}") == variable.value
    finally:
        file.unlink()
        api(switch, f"sofia profile {profile} killgw {gateway.name}")
        switch.switch.advance(switch.switch.now() + 3)
        api(switch, "reloadxml")


def api(switch: Simulator, line: str) -> str:
    from sipgateway.simulator.commands import execute  # noqa: PLC0415

    return execute(switch.switch, line)
