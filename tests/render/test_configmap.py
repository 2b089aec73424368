"""The ConfigMap of a gateway: what goes in comes out exactly, and nothing that anybody forged comes out at all."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from sipgateway.api.gateway import Gateway, Parameter, Target
from sipgateway.api.names import LABEL_SWITCH
from sipgateway.api.spec import DirectoryUser, Variable
from sipgateway.render.configmap import (
    MAX_XML,
    Body,
    Published,
    PublishedError,
    config_map_name,
    labels,
    peek,
    resealed,
    sealed_with,
    up_to_date,
    verify,
)
from sipgateway.render.keys import FleetKeys
from sipgateway.render.proof import prove
from sipgateway.render.revision import revision
from sipgateway.render.seal import Place, seal
from sipgateway.render.xml import RenderError, render
from tests.canary import Canary
from tests.golden import Golden, folder_of
from tests.profiles import thorough
from tests.render.fleets import (
    ANNOUNCED,
    GATEWAY,
    KEYS,
    NAME,
    NAMESPACE,
    ROTATED,
    SWITCH,
    built,
    fleet_keys,
    publishable,
    signed,
    verified,
)
from tests.render.gateways import HAZARDS, gateway_of

BODY = built()
MAC = BODY.data["mac"]
ENTRIES = ("gateway.xml", "target.json", "mac")


def refused(act: Callable[[], object]) -> PublishedError:
    """The refusal; it says what to do, and that the switch keeps what it has, or why not."""
    with pytest.raises(PublishedError) as refusal:
        act()
    assert refusal.value.finding.action
    return refusal.value


def code(data: Mapping[str, str], keys: FleetKeys = KEYS, /, **place: str) -> str:
    return refused(lambda: verified(BODY, keys, data, **place)).finding.code


def edited(old: str, new: str, *, entry: str = "gateway.xml") -> dict[str, str]:
    assert old in BODY.data[entry]
    return {**BODY.data, entry: BODY.data[entry].replace(old, new, 1)}


# What goes in comes out.


@thorough
@given(publishable())
@example(GATEWAY)
def test_a_gateway_comes_out_as_it_went_in_with_the_files_bytes_that_the_renderer_gives(gateway: Gateway) -> None:
    body = built(gateway)
    mark = revision(gateway, KEYS.revision)
    assert verified(body) == Published(gateway, mark, render(gateway, mark))
    assert body == built(gateway)
    assert body.target.revision == peek(body.data).revision == mark
    assert sealed_with(body.data) == ({KEYS.active} if any(p.secret for p in gateway.parameters) else set())


def test_what_comes_out_is_what_an_agent_needs() -> None:
    found = verified(BODY)
    assert (found.name, found.profile, found.directory, found.registers) == ("acme", "external", None, True)
    prove(GATEWAY, found.revision, found.file)
    directory = replace(GATEWAY, target=Target("internal", DirectoryUser("sip.example.com", "trunks")))
    calls = replace(directory, parameters=(Parameter("register", "false"),))
    found = verified(built(calls))
    assert (found.profile, found.directory) == ("internal", DirectoryUser("sip.example.com", "trunks"))
    assert not found.registers


def test_a_configmap_has_the_documented_name_and_labels() -> None:
    assert BODY.name == config_map_name("acme") == NAME
    assert BODY.labels == {
        "sipgateway.dev/switch": "default",
        "app.kubernetes.io/name": "sipgateway",
        "app.kubernetes.io/component": "gateway",
        "app.kubernetes.io/instance": "acme",
        "app.kubernetes.io/managed-by": "sipgateway-operator",
    }
    assert set(BODY.data) == set(ENTRIES)


@pytest.mark.parametrize(
    ("name", "instance"),
    [("a" * 63, "a" * 63), ("a" * 64, "a" * 63), ("a" * 62 + "-b", "a" * 62), ("a" * 60 + ".-.b", "a" * 60)],
)
def test_the_instance_label_is_one_that_kubernetes_takes(name: str, instance: str) -> None:
    assert labels(name, SWITCH)["app.kubernetes.io/instance"] == instance


CASES = sorted(folder_of(Path(__file__)).glob("*.in.json"))


class _Block(str):
    """A text that YAML shows as it is."""

    __slots__ = ()


class _Dumper(yaml.SafeDumper):
    pass


_Dumper.add_representer(_Block, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|"))


def manifest(body: Body) -> str:
    """The ConfigMap as the API server would show it."""
    data = {name: _Block(text) if "\n" in text else text for name, text in body.data.items()}
    metadata = {"name": body.name, "namespace": NAMESPACE, "labels": dict(body.labels)}
    whole = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
    return yaml.dump(whole, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000)


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name.split(".")[0])
def test_a_gateway_becomes_the_configmap_that_is_kept(case: Path, golden: Golden) -> None:
    name = case.name.removesuffix(".in.json")
    body = built(gateway_of(case), object_name=name)
    golden(f"{name}.out.yaml", manifest(body))


def test_a_new_seal_key_shows_in_nothing_but_the_seals_and_the_mac(golden: Golden) -> None:
    golden("acme.out.yaml", manifest(BODY))
    golden("acme-rotated.out.yaml", manifest(built(GATEWAY, ROTATED)))


# Keys are exchanged.


@given(publishable())
def test_a_new_seal_key_changes_the_configmap_and_neither_revision_nor_file(gateway: Gateway) -> None:
    old, new = built(gateway), built(gateway, ROTATED)
    before, after = verified(old, ROTATED), verified(new, ROTATED)
    assert before == after
    assert (old.data == new.data) == (not any(p.secret for p in gateway.parameters))
    assert old.data["target.json"] == new.data["target.json"]


def test_an_announced_key_changes_nothing() -> None:
    assert built(GATEWAY, ANNOUNCED) == BODY


def test_a_configmap_can_be_resealed_without_the_users_secret() -> None:
    at = {"namespace": NAMESPACE, "switch": SWITCH, "object_name": "acme"}
    assert resealed(BODY.data, BODY.labels, keys=ROTATED, **at) == built(GATEWAY, ROTATED)
    forged = edited("example.com", "example.org")
    assert refused(lambda: resealed(forged, BODY.labels, keys=ROTATED, **at)).finding.code == "ConfigMapForged"


def test_a_seal_key_that_is_not_held_is_named() -> None:
    error = refused(lambda: verified(built(GATEWAY, ROTATED), KEYS))
    assert error.finding.code == "SealKeyUnknown"
    assert error.unknown_key == ROTATED.active
    assert verified(built(GATEWAY, ROTATED), ANNOUNCED) == verified(BODY)


def test_another_fleets_keys_are_told_from_an_edit() -> None:
    other = fleet_keys("b")
    error = refused(lambda: verified(BODY, other))
    assert error.finding.code == "ConfigMapForged"
    assert error.unknown_key == KEYS.revision.key_id
    assert KEYS.revision.key_id in error.finding.message
    assert other.revision.key_id in error.finding.message


# Does it need a write?


def needs_no_write(data: Mapping[str, str], body: Body = BODY, keys: FleetKeys = KEYS, /, **labelled: str) -> bool:
    return up_to_date(data, {**body.labels, **labelled}, body, namespace=NAMESPACE, keys=keys)


def test_a_configmap_as_it_shall_be_needs_no_write() -> None:
    assert needs_no_write(dict(BODY.data))
    assert needs_no_write(dict(BODY.data), **{"example.com/added": "by somebody"})


def test_other_words_for_the_same_meaning_need_no_write() -> None:
    """What another release rendered: its bytes are another's, its meaning is the same."""
    xml = BODY.data["gateway.xml"].replace("<!-- Managed by sipgateway", "<!-- Written by an earlier sipgateway")
    other = signed({**BODY.data, "gateway.xml": xml.replace("    <param", "  <param")})
    assert other != BODY.data
    assert needs_no_write(other)
    assert verified(BODY, KEYS, other) == verified(BODY)


def test_whatever_is_not_as_it_shall_be_needs_a_write() -> None:
    other = replace(GATEWAY, parameters=(*GATEWAY.parameters, Parameter("expire-seconds", "60")))
    assert not needs_no_write(BODY.data, built(other))
    assert not needs_no_write(BODY.data, built(GATEWAY, ROTATED), ROTATED)
    assert not needs_no_write(edited("example.com", "example.org"))
    assert not needs_no_write({**BODY.data, "more": ""})
    assert not needs_no_write({name: BODY.data[name] for name in ENTRIES[:2]})
    assert not needs_no_write({})
    assert not needs_no_write(BODY.data, **{LABEL_SWITCH: "other"})
    assert not up_to_date(BODY.data, {}, BODY, namespace=NAMESPACE, keys=KEYS)


# Nothing that anybody forged comes out.


@thorough
@given(st.sampled_from(ENTRIES), st.integers(0), st.characters(), st.sampled_from(["replace", "insert", "delete"]))
def test_one_character_changed_anywhere_is_refused(entry: str, position: int, character: str, how: str) -> None:
    text = BODY.data[entry]
    position %= len(text)
    rest = text[position:] if how == "insert" else text[position + 1 :]
    changed = text[:position] + ("" if how == "delete" else character) + rest
    if changed != text:
        refused(lambda: verified(BODY, KEYS, {**BODY.data, entry: changed}))


def test_every_single_byte_counts() -> None:
    for entry in ENTRIES:
        text = BODY.data[entry]
        for position, character in enumerate(text):
            other = chr(ord(character) ^ 1)
            assert code({**BODY.data, entry: text[:position] + other + text[position + 1 :]}) == "ConfigMapForged"


@pytest.mark.parametrize("entry", ENTRIES)
def test_a_missing_entry_is_refused(entry: str) -> None:
    assert code({name: text for name, text in BODY.data.items() if name != entry}) == "ConfigMapMalformed"
    assert code({**BODY.data, entry: None}) == "ConfigMapMalformed"  # type: ignore[dict-item]
    assert code({**BODY.data, entry: ""}) == "ConfigMapForged"


def test_an_entry_that_a_newer_version_added_does_no_harm() -> None:
    assert verified(BODY, KEYS, {**BODY.data, "more": "x"}) == verified(BODY)


def assert_forged_at(**place: str) -> None:
    moved = replace(BODY, labels={**BODY.labels, LABEL_SWITCH: place.get("switch", SWITCH)})
    assert refused(lambda: verified(moved, **place)).finding.code == "ConfigMapForged"


@pytest.mark.parametrize("place", [{"namespace": "other"}, {"name": "sipgateway-other"}, {"switch": "other"}], ids=str)
def test_a_configmap_replayed_at_another_place_is_refused(place: dict[str, str]) -> None:
    assert_forged_at(**place)


def test_a_configmap_without_the_fleets_label_is_refused() -> None:
    at = {"namespace": NAMESPACE, "name": NAME, "switch": SWITCH}
    assert refused(lambda: verify(BODY.data, {}, keys=KEYS, **at)).finding.code == "ConfigMapMalformed"
    other = {**BODY.labels, LABEL_SWITCH: "other"}
    assert refused(lambda: verify(BODY.data, other, keys=KEYS, **at)).finding.code == "ConfigMapMalformed"


def test_the_parts_of_a_mac_cannot_be_moved_into_one_another() -> None:
    for namespace, switch in [("voic", "edefault"), ("voiced", "efault"), ("", "voicedefault")]:
        assert_forged_at(namespace=namespace, switch=switch)


def test_entries_of_two_configmaps_cannot_be_mixed() -> None:
    other = built(replace(GATEWAY, parameters=(*GATEWAY.parameters, Parameter("ping", "30"))))
    for taken in ({"gateway.xml"}, {"target.json"}, {"mac"}, {"gateway.xml", "target.json"}, {"mac", "target.json"}):
        assert code({name: (other if name in taken else BODY).data[name] for name in ENTRIES}) == "ConfigMapForged"


def swap(one: str, other: str, text: str) -> str:
    return text.replace(one, "\0").replace(other, one).replace("\0", other)


def seals(body: Body) -> list[str]:
    return [part.split('"')[0] for part in body.data["gateway.xml"].split(' sealed="')[1:]]


def test_seals_swapped_between_parameters_are_refused_and_would_not_open() -> None:
    username, password = seals(BODY)
    swapped = {**BODY.data, "gateway.xml": swap(username, password, BODY.data["gateway.xml"])}
    assert code(swapped) == "ConfigMapForged"
    assert code(signed(swapped)) == "SealBroken"


@pytest.mark.parametrize(
    "other",
    [
        built(replace(GATEWAY, name="beta")),
        built(object_name="beta"),
        built(namespace="other"),
        built(switch="other"),
    ],
    ids=["gateway", "ConfigMap", "namespace", "fleet"],
)
def test_seals_of_another_place_are_refused_and_would_not_open(other: Body) -> None:
    xml = BODY.data["gateway.xml"]
    for mine, theirs in zip(seals(BODY), seals(other), strict=True):
        xml = xml.replace(mine, theirs)
    assert code({**BODY.data, "gateway.xml": xml}) == "ConfigMapForged"
    assert code(signed({**BODY.data, "gateway.xml": xml})) == "SealBroken"


def test_the_mac_is_what_the_documentation_says() -> None:
    assert signed(BODY.data) == BODY.data


@pytest.mark.parametrize(
    "mac",
    [
        *("", "1", "1-", MAC[:-1], MAC.upper(), f"{MAC}\n", f" {MAC}", MAC.replace("1-", "2-", 1), "é", "\ud800"),
        f"1-{KEYS.revision.key_id}-{'0' * 64}",
    ],
)  # fmt: skip
def test_a_mac_of_another_form_is_refused(mac: str) -> None:
    assert code({**BODY.data, "mac": mac}) == "ConfigMapForged"


BOMB = '<!DOCTYPE include [<!ENTITY a "aaaaaaaaaa">' + "".join(
    f'<!ENTITY {b} "&{a};&{a};&{a};&{a};&{a};&{a};&{a};&{a};&{a};&{a};">'
    for a, b in zip("abcdefghi", "bcdefghij", strict=True)
)
ATTACKS = {
    "entity bomb": ("<include>", f"{BOMB}]><include>"),
    "entity bomb in a value": ("sip.example.com", "&j;"),
    "outside document type": ("<include>", '<!DOCTYPE include SYSTEM "http://example.com/x.dtd"><include>'),
    "outside entity": ("<include>", '<!DOCTYPE include [<!ENTITY a SYSTEM "file:///etc/passwd">]><include>'),
    "command": ("    <variables>", '    <X-PRE-PROCESS cmd="exec" data="id"/>\n    <variables>'),
    "command in a comment": ("    <variables>", "    <!--#exec id-->\n    <variables>"),
    "second gateway": ("  </gateway>", "  </gateway><gateway name='b'><variables/></gateway>"),
    "broken XML": ("</gateway>", ""),
    "no XML": ("<include>", "include"),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_forged_xml_is_refused_before_it_is_parsed(attack: str) -> None:
    """Whatever it is, the same refusal: of broken XML a parser that had seen it would say something else."""
    assert code(edited(*ATTACKS[attack])) == "ConfigMapForged"
    assert code({**BODY.data, "target.json": "[" * 100_000}) == "ConfigMapForged"


@pytest.mark.parametrize("attack", [attack for attack in ATTACKS if attack != "command in a comment"])
def test_even_from_the_key_holder_it_is_refused(attack: str) -> None:
    assert code(signed(edited(*ATTACKS[attack]))) == "ConfigMapMalformed"


def test_a_comment_never_reaches_the_file() -> None:
    data = signed(edited(*ATTACKS["command in a comment"]))
    assert verified(BODY, KEYS, data) == verified(BODY)


@given(st.sampled_from(HAZARDS))
def test_a_value_that_the_pre_processor_would_act_on_is_carried_or_refused(hazard: str) -> None:
    """Written raw into the XML by the key holder: either no XML, or another value, which has another revision."""
    data = signed(edited("sip.example.com:5060", f"a{hazard}b"))
    assert code(data) == "ConfigMapMalformed"


def test_what_contradicts_itself_is_refused_even_from_the_key_holder() -> None:
    other = built(replace(GATEWAY, variables=(Variable("a", "b"),)))
    mixed = {**BODY.data, "gateway.xml": other.data["gateway.xml"]}
    assert "contradict each other" in refused(lambda: verified(BODY, KEYS, signed(mixed))).finding.message
    mark = BODY.target.revision
    stale = {n: t.replace(other.target.revision, mark) for n, t in mixed.items()}
    assert "revision is not that" in refused(lambda: verified(BODY, KEYS, signed(stale))).finding.message
    silent = edited('"registers":true', '"registers":false', entry="target.json")
    assert "contradict each other" in refused(lambda: verified(BODY, KEYS, signed(silent))).finding.message
    spaced = edited('"registers":true', '"registers": true', entry="target.json")
    assert "target.json" in refused(lambda: verified(BODY, KEYS, signed(spaced))).finding.message


def test_an_xml_too_large_for_a_configmap_is_refused_on_both_sides() -> None:
    variables = tuple(Variable(f"v{n}", '"' * 2048) for n in range(100))
    with pytest.raises(RenderError) as refusal:
        built(replace(GATEWAY, variables=variables))
    assert refusal.value.finding.code == "ConfigMapTooLarge"
    huge = {**BODY.data, "gateway.xml": BODY.data["gateway.xml"] + " " * MAX_XML}
    assert code(huge) == code(signed(huge)) == "ConfigMapMalformed"


def test_a_gateway_of_the_largest_values_that_are_accepted_fits() -> None:
    variables = tuple(Variable(f"v{n}", "x" * 2048) for n in range(64))
    assert verified(built(replace(GATEWAY, variables=variables))).gateway.variables == variables


@pytest.mark.parametrize("name", ["all", "a b", "", "é", "a\n", "a" * 256])
def test_a_gateway_that_no_switch_loads_is_never_published(name: str) -> None:
    with pytest.raises(RenderError) as refusal:
        built(replace(GATEWAY, name=name))
    assert refusal.value.finding.code == "UnsafePath"


def test_a_value_that_xml_cannot_carry_is_never_published(canary: Canary) -> None:
    parameters = (Parameter("password", f"{canary.password}\0", secret=True),)
    with pytest.raises(RenderError) as refusal:
        built(replace(GATEWAY, parameters=parameters))
    assert refusal.value.finding.code == "NotCarriedByXml"
    canary.assert_absent(str(refusal.value))


# What is known without the keys.


def test_peek_reads_what_it_can_and_refuses_the_rest() -> None:
    assert peek(edited("example.com", "example.org")) == BODY.target
    for text in ("", "{}", "[" * 10_000, BODY.data["target.json"] + " "):
        error = refused(lambda found=text: peek({"target.json": found}))  # type: ignore[misc]
        assert error.finding.code == "ConfigMapMalformed"
    assert refused(lambda: peek({})).finding.code == "ConfigMapMalformed"


def test_keys_in_use_are_found_and_no_value_passes_for_one() -> None:
    claims = Variable("x", ' sealed="01234567:')
    gateway = replace(GATEWAY, variables=(claims,), parameters=(Parameter("realm", ' sealed="76543210:'),))
    assert sealed_with(built(gateway).data) == frozenset()
    assert sealed_with({}) == frozenset()
    place = Place(NAMESPACE, SWITCH, NAME, "acme")
    mixed = edited(seals(BODY)[0], seal(ROTATED, place, "username", "alice"))
    assert sealed_with(mixed) == {KEYS.active, ROTATED.active}
    assert verified(BODY, ROTATED, signed(mixed)) == verified(BODY)


# The password is nowhere.


def test_the_password_is_nowhere_but_in_the_seal_the_gateway_and_the_file(canary: Canary) -> None:
    secret = (Parameter("username", "alice"), Parameter("password", canary.password, secret=True))
    gateway = replace(GATEWAY, parameters=secret)
    body = built(gateway)
    canary.assert_absent(json.dumps(dict(body.data)), repr(body), repr(body.data), body.data["mac"])
    canary.assert_absent(*(base64.b64decode(one.partition(":")[2]) for one in seals(body)))
    found = verified(body)
    assert found.gateway.get("password") == canary.password
    canary.assert_absent(repr(found), str(found))
    for keys, data in [
        (fleet_keys("b"), body.data),
        (KEYS, edited("acme", "acne")),
        (KEYS, signed({**body.data, "gateway.xml": body.data["gateway.xml"].replace("alice", "bob")})),
        (KEYS, signed({**body.data, "gateway.xml": body.data["gateway.xml"].replace("</gateway>", canary.password)})),
        (KEYS, signed({**body.data, "target.json": canary.password})),
        (ROTATED.without(KEYS.active), body.data),
    ]:
        error = refused(lambda k=keys, d=data: verified(body, k, d))  # type: ignore[misc]
        canary.assert_absent(str(error), repr(error), repr(error.finding), repr(error.__cause__))
