"""What stands in a file of manifests: SipGateways, Secrets, others, and every mistake with the words that mend it."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipgateway.source.manifests import FileContents, read_manifests
from tests.canary import Canary
from tests.golden import Golden
from tests.profiles import thorough

HEAD = "apiVersion: sipgateway.dev/v1alpha1\nkind: SipGateway\nmetadata:\n  name: acme\n"
GOOD = f"{HEAD}spec:\n  register: false\n  proxy: sip.example.com\n"
SECRET = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: acme\n  labels:\n    sipgateway.dev/credentials: 'true'\n"

#: Name of the golden line -> a file with one mistake in it.
MISTAKES = {
    "api-version-old": GOOD.replace("v1alpha1", "v1"),
    "api-version-missing": GOOD.replace("apiVersion: sipgateway.dev/v1alpha1\n", ""),
    "kind-missing": GOOD.replace("kind: SipGateway\n", ""),
    "kind-misspelt": GOOD.replace("kind: SipGateway", "kind: SIPGateway"),
    "kind-of-our-group": GOOD.replace("kind: SipGateway", "kind: Trunk"),
    "kind-with-another-group": GOOD.replace("sipgateway.dev/v1alpha1", "sip.example.com/v1"),
    "no-mapping": "just words",
    "no-name": GOOD.replace("  name: acme\n", "  labels: {}\n"),
    "unknown-field": f"{GOOD}  proxi: x\n",
    "freeswitch-name": f"{GOOD}  expire-seconds: 60\n",
    "literal-password": f"{GOOD}  password: hunter2\n",
    "number-for-text": f"{GOOD}  username: 1001\n",
    "on-for-text": f"{GOOD}  extension: on\n",
    "octal-for-text": f"{GOOD}  fromUser: 0123\n",
    "null-like-for-text": f"{GOOD}  variables:\n    - name: a\n      value: yes\n",
    "quoted-number-for-int": f'{GOOD}  ping: "30"\n',
    "octal-for-int": f"{GOOD}  ping: 0600\n",
    "hex-for-int": f"{GOOD}  ping: 0x1f\n",
    "underscore-for-int": f"{GOOD}  ping: 1_000\n",
    "word-for-bool": f"{GOOD}  callerIdInFrom: tru\n",
    "label-not-text": GOOD.replace("  name: acme\n", "  name: acme\n  labels:\n    sipgateway.dev/x: true\n"),
    "duplicate-key": f"{GOOD}  proxy: sip.example.net\n",
    "tab": f"{HEAD}spec:\n\tproxy: x\n",
    "broken": f"{GOOD}  realm: [\n",
    "secret-label-not-text": SECRET.replace("'true'", "true") + "stringData:\n  password: hunter2\n",
    "secret-value-not-text": f"{SECRET}stringData:\n  password: 12345678\n",
    "secret-not-base64": f"{SECRET}data:\n  password: hunter2!\n",
    "secret-misspelt": f"{SECRET}stringdata:\n  password: hunter2\n",
    "secret-data-no-mapping": f"{SECRET}data: hunter2\n",
    "secret-bad-key": f"{SECRET}stringData:\n  pass word: hunter2\n",
    "secret-no-name": SECRET.replace("  name: acme\n", "  namespace: voice\n"),
    "secret-api-version": SECRET.replace("apiVersion: v1", "apiVersion: v2"),
    "secret-tag": f"{SECRET}stringData:\n  password: !hunter2\n",
    "secret-alias": f"{SECRET}stringData:\n  password: *hunter2\n",
    "secret-duplicate": f"{SECRET}stringData:\n  password: hunter2\n  password: hunter3\n",
}


def read(text: str, file: str = "f.yaml") -> FileContents:
    return read_manifests(text.encode(), file)


def test_every_mistake_has_a_place_a_reason_and_a_remedy(golden: Golden) -> None:
    lines = []
    for name, text in MISTAKES.items():
        contents = read(text)
        assert contents.findings, name
        assert not contents.gateways, name
        assert not contents.secrets, name
        lines += [f"{name}: {finding}" for finding in contents.findings]
    text = "\n".join(lines) + "\n"
    assert "hunter" not in text
    golden("mistakes.txt", text)


@pytest.mark.parametrize("name", [n for n in MISTAKES if not n.startswith("secret")])
def test_a_broken_sipgateway_is_known_by_its_name_or_makes_its_file_unsound(name: str) -> None:
    contents = read(MISTAKES[name])
    if contents.broken:
        (broken,) = contents.broken
        assert (broken.namespace, broken.name, broken.gateway_name) == ("default", "acme", "acme")
        assert broken.findings
    else:
        assert not contents.sound


def test_a_good_manifest_is_read_with_namespace_default_and_its_lines() -> None:
    contents = read(f"# first\n---\n{GOOD}")
    assert contents.sound
    assert not contents.findings
    (one,) = contents.gateways
    assert (one.gateway.namespace, one.gateway.name) == ("default", "acme")
    assert one.manifest.locate("spec.proxy").line == 9
    assert one.manifest.locate("spec.username").line == 7
    assert str(one.manifest.start()) == "f.yaml:3"
    assert one.manifest.obj["kind"] == "SipGateway"


def test_objects_in_a_list_are_read_each_with_its_own_lines() -> None:
    items = "".join(
        "  - apiVersion: sipgateway.dev/v1alpha1\n    kind: SipGateway\n"
        f"    metadata: {{name: g{n}, namespace: voice}}\n"
        f"    spec:\n      register: false\n      proxy: {proxy}\n"
        for n, proxy in enumerate(["sip.example.com", "0123", "sip.example.net"])
    )
    contents = read(f"apiVersion: v1\nkind: List\nitems:\n{items}")
    assert [one.gateway.name for one in contents.gateways] == ["g0", "g2"]
    assert contents.gateways[1].manifest.locate("spec.proxy").line == 21
    assert contents.gateways[1].manifest.start().line == 16
    assert contents.gateways[1].manifest.obj["metadata"] == {"name": "g2", "namespace": "voice"}
    assert [one.name for one in contents.broken] == ["g1"]
    assert contents.sound
    assert [str(f.location) for f in contents.findings] == ["f.yaml:15"]


def test_other_kinds_are_noted_and_passed_over() -> None:
    text = (
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\n---\n"
        "apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {name: x}\n---\n"
        "apiVersion: sipgateway.dev/v1alpha1\nkind: SipSwitch\nmetadata: {name: x}\n"
    )
    contents = read(text)
    assert [(one.kind, one.location.line) for one in contents.ignored] == [
        ("Deployment", 2),
        ("ExternalSecret", 6),
        ("SipSwitch", 10),
    ]
    assert contents.sound
    assert not contents.findings


def test_a_kustomization_may_go_without_kind_and_nothing_else_may() -> None:
    assert read("resources: [a.yaml]\n", "x/kustomization.yaml").sound
    assert not read("resources: [a.yaml]\n", "x/values.yaml").sound


def test_json_is_read_too() -> None:
    text = '{"apiVersion": "sipgateway.dev/v1alpha1", "kind": "SipGateway",\n\t"metadata": {"name": "acme"},\n'
    text += '"spec": {"register": false, "proxy": "sip.example.com",'
    text += '"variables": [{"name": "a", "value": "\\ud83d\\ude00"}]}}'
    (one,) = read(text, "f.json").gateways
    assert one.gateway.spec.variables[0].value == "😀"
    assert one.manifest.locate("spec.proxy").line == 3


def test_data_and_stringdata_of_a_secret_are_read_and_shown_nowhere(canary: Canary) -> None:
    encoded = base64.b64encode(canary.password.encode()).decode()
    text = f"{SECRET}data:\n  a: |\n    {encoded[:20]}\n    {encoded[20:]}\n  b: YQ==\n  empty:\nstringData:\n  b: ü\n"
    contents = read(text)
    (one,) = contents.secrets
    assert one.secret.labelled
    assert dict(one.secret.data) == {"a": canary.password.encode(), "b": "ü".encode(), "empty": b""}
    canary.assert_absent(repr(contents), str(one))


@pytest.mark.parametrize("label", ["'false'", "'True'", "''"])
def test_only_the_text_true_labels_a_secret(label: str) -> None:
    (one,) = read(SECRET.replace("'true'", label)).secrets
    assert not one.secret.labelled


@pytest.mark.parametrize("name", sorted(n for n in MISTAKES if n.startswith("secret")))
def test_no_message_about_a_secret_shows_its_value(name: str, canary: Canary) -> None:
    word = "C4n4ryW0rdOfThisTest"
    text = MISTAKES[name].replace("hunter2", word).replace("12345678", "9876543210")
    contents = read(text)
    for finding in contents.findings:
        assert word not in str(finding)
        assert "9876543210" not in str(finding)


def test_the_spec_of_an_imported_cluster_object_is_read_with_its_metadata_and_status() -> None:
    text = GOOD.replace(
        "  name: acme\n",
        "  name: acme\n  namespace: voice\n  uid: u\n  generation: 3\n  creationTimestamp: 2026-01-02T03:04:05Z\n"
        "  annotations: {a: b}\n  managedFields: []\n",
    )
    (one,) = read(f"{text}status:\n  conditions: []\n").gateways
    assert (one.gateway.uid, one.gateway.generation, one.gateway.created) == ("u", 3, "2026-01-02T03:04:05Z")


@thorough
@given(
    st.lists(st.sampled_from([*GOOD.splitlines(), *SECRET.splitlines(), "---", "  x: [", "kind: List", "items: [{}]"])),
    st.integers(0, 3),
)
def test_no_mixture_of_lines_makes_the_reader_fail(lines: list[str], indent: int) -> None:
    contents = read("\n".join(" " * indent + line for line in lines))
    assert contents.sound or contents.findings
