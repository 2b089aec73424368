"""Paths: one file per gateway, inside its folder, short enough, and told apart from files of others."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sipgateway.api.gateway import Gateway, Target
from sipgateway.api.spec import DirectoryUser
from sipgateway.render.layout import Layout, file_name, is_ours, relative_path
from sipgateway.render.xml import RenderError
from tests.render.gateways import ANY_TEXT

NAMES = st.text("abzABZ019_.-", min_size=1, max_size=255)
#: Text that is a folder's name on no account, and text that tries to be another's.
PARTS = st.one_of(st.sampled_from(["", ".", "..", "/", "a/../b", "~", "%2E", "a\0b", "é" * 64, "x" * 400]), ANY_TEXT)


def path(name: str = "acme", profile: str = "external", user: tuple[str, str] | None = None) -> str:
    return relative_path(Gateway(name, Target(profile, DirectoryUser(*user) if user else None), ()))


def test_a_profiles_gateway_stands_in_the_profiles_folder() -> None:
    assert path() == "sip_profiles/external/sipgw-acme.xml"


def test_a_directory_users_gateway_stands_in_the_users_folder() -> None:
    assert path(user=("pbx.example.org", "1000")) == "directory_gateways/pbx.example.org/1000/sipgw-acme.xml"


def test_the_folders_are_the_layouts() -> None:
    layout = Layout("a/{profile}/b", "c/{user}@{domain}")
    assert relative_path(Gateway("g", Target("p"), ()), layout) == "a/p/b/sipgw-g.xml"
    directory = Gateway("g", Target("p", DirectoryUser("d", "u")), ())
    assert relative_path(directory, layout) == "c/u@d/sipgw-g.xml"


@pytest.mark.parametrize(
    ("user", "folder"),
    [("a/b", "a%2Fb"), ("..", "%2E."), (".hidden", "%2Ehidden"), ("%2E.", "%252E."), ("~", "%7E"), ("é", "%C3%A9")],
)
def test_what_would_lead_elsewhere_is_written_otherwise(user: str, folder: str) -> None:
    assert path(user=("d", user)) == f"directory_gateways/d/{folder}/sipgw-acme.xml"


UNLOADABLE = [
    "",
    "a/b",
    "../a",
    "a b",
    "a\0",
    "é",
    "a\n",
    "a~b",
    "a~" + "0" * 32,
    "$(id)",
    "*",
    "a%2F",
    "\ud800",
    "ü" * 99,
]


@pytest.mark.parametrize("name", UNLOADABLE)
def test_a_name_that_no_switch_loads_has_no_path(name: str) -> None:
    with pytest.raises(RenderError) as refusal:
        path(name)
    assert (refusal.value.finding.code, refusal.value.finding.field) == ("UnsafePath", "metadata.name")


@pytest.mark.parametrize("name", UNLOADABLE)
def test_asked_for_its_file_all_the_same_one_hears_of_none_of_ours(name: str) -> None:
    file = file_name(name)
    assert not is_ours(file)
    assert "/" not in file
    assert len(file.encode()) <= 255


@pytest.mark.parametrize(
    ("target", "field"),
    [
        (Target(""), "spec.profile"),
        (Target("p", DirectoryUser("", "u")), "spec.directory.domain"),
        (Target("p", DirectoryUser("d", "")), "spec.directory.user"),
    ],
)
def test_a_folder_needs_a_name(target: Target, field: str) -> None:
    with pytest.raises(RenderError) as refusal:
        relative_path(Gateway("a", target, ()))
    assert refusal.value.finding.field == field


@given(NAMES)
def test_every_file_is_ours_and_no_part_is_too_long(name: str) -> None:
    file = file_name(name)
    assert is_ours(file)
    assert len(file.encode()) <= 255
    assert file.startswith("sipgw-")
    assert PurePosixPath(file).match("*.xml"), "the switch's include finds it"


@given(st.one_of(NAMES, ANY_TEXT), st.one_of(NAMES, ANY_TEXT))
def test_no_two_names_share_a_file(one: str, other: str) -> None:
    assume(one != other)
    assert file_name(one) != file_name(other)


def test_long_names_that_begin_alike_are_told_apart() -> None:
    names = ["a" * 254 + end for end in "bc"] + ["a" * n for n in range(240, 256)]
    assert len({file_name(name) for name in names}) == len(names)


@given(PARTS, PARTS)
def test_no_directory_user_leads_out_of_the_folder_or_into_anothers(domain: str, user: str) -> None:
    try:
        parts = PurePosixPath(path(user=(domain, user))).parts
    except RenderError as refusal:
        assume(refusal.finding.code == "UnsafePath")
        return
    assert len(parts) == 4
    assert parts[0] == "directory_gateways"
    assert all(part.isascii() and part.isprintable() and not part.startswith(".") for part in parts)
    assert all(len(part) <= 255 for part in parts)
    other = path(user=(domain + "x", user)), path(user=(domain, user + "x"))
    assert "/".join(parts) not in other


@pytest.mark.parametrize(
    "name",
    [
        *("", "acme.xml", "sipgw-.xml", "sipgw-a.xml.bak", ".sipgw-a.xml", "sipgw-a", "sipgw-a b.xml", "SIPGW-a.xml"),
        *("sipgw-a~b.xml", "sipgw-" + "a" * 250 + ".xml", "sipgw-a.xml\n", "sipgw-é.xml"),
    ],
)
def test_files_of_others_are_not_ours(name: str) -> None:
    assert not is_ours(name)
