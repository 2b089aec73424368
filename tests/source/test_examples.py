"""The examples: each passes lint, becomes the XML that is kept beside this test, and together they show everything."""

from __future__ import annotations

from pathlib import Path

import pytest

from sipgateway.api.params import PARAMS
from sipgateway.errors import Severity
from sipgateway.render.layout import relative_path
from sipgateway.render.proof import prove
from sipgateway.render.revision import RevisionKey, revision
from sipgateway.render.xml import render
from sipgateway.source.folder import Folder
from sipgateway.source.local import accepted
from tests.golden import Golden

EXAMPLES = Path(__file__).resolve().parents[2] / "manifests" / "examples"
FILES = sorted(EXAMPLES.glob("*.yaml"))
KEY = RevisionKey(b"the key of the golden files, 32 b")

#: What the gateway example of FreeSWITCH's wiki documents.
WIKI = [
    *["username", "realm", "from-user", "from-domain", "password", "extension", "proxy", "outbound-proxy"],
    *["register-proxy", "expire-seconds", "register", "register-transport", "retry-seconds", "caller-id-in-from"],
    *["contact-params", "ping"],
]


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.stem)
def test_an_example_becomes_the_xml_that_is_kept(file: Path, golden: Golden) -> None:
    result = accepted(Folder(file).snapshot())
    assert [f for f in result.findings if f.severity is Severity.ERROR] == []
    assert {f.code for f in result.findings} <= {"TlsNeedsProfile"}
    text = ""
    for one in result.gateways:
        mark = revision(one.gateway, KEY)
        data = render(one.gateway, mark)
        prove(one.gateway, mark, data)
        text += f"<!-- {relative_path(one.gateway)} -->\n{data.decode()}"
    golden(f"{file.stem}.out.xml", text or "<!-- suspended: nothing is written -->\n")


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.stem)
def test_an_example_begins_with_what_it_is_for_and_explains_itself(file: Path) -> None:
    lines = file.read_text().splitlines()
    assert lines[0].startswith("# ")
    assert sum(line.lstrip().startswith("#") for line in lines) >= 3
    assert file.stem in {one.gateway.name for one in Folder(file).snapshot().gateways}


def test_the_examples_together_are_accepted() -> None:
    result = accepted(Folder(EXAMPLES).snapshot(), switch="default")
    assert not result.refused
    assert result.complete


def test_every_parameter_stands_in_an_example() -> None:
    given = {name for one in Folder(EXAMPLES).snapshot().gateways for name in one.gateway.spec.params}
    assert {row.field for row in PARAMS if row.refused is None and not row.secret} - given == {"scheme"}


def test_the_wikis_example_is_whole() -> None:
    (one,) = accepted(Folder(EXAMPLES / "wiki.yaml").snapshot()).gateways
    assert [name for name in WIKI if one.gateway.get(name) is None] == []
    assert {v.direction for v in one.gateway.variables} == {None, "inbound", "outbound"}


def test_passwords_of_the_examples_are_placeholders() -> None:
    for one in Folder(EXAMPLES).snapshot().secrets:
        assert one.secret.data["password"] == b"change-me"
