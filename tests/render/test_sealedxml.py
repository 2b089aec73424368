"""The ConfigMap's XML, read strictly: what the renderer writes, and no document that an enemy could think of."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipgateway.api.gateway import Gateway
from sipgateway.render.sealedxml import SealedXmlError, read_sealed
from sipgateway.render.xml import render_sealed
from tests.canary import Canary
from tests.profiles import thorough
from tests.render.fleets import GATEWAY, publishable
from tests.render.gateways import HAZARDS

DATA = render_sealed(GATEWAY, "r", lambda name, value: f"{name}={value}")


def opened(parameter: str, sealed: str) -> str:
    name, _, value = sealed.partition("=")
    assert name == parameter
    return value


def read(data: bytes) -> tuple[Gateway, str]:
    return read_sealed(data, GATEWAY.target, opened)


@thorough
@given(publishable())
def test_what_the_renderer_writes_reads_back_exactly(gateway: Gateway) -> None:
    data = render_sealed(gateway, "r", lambda name, value: f"{name.replace('=', '')}={value}")
    found = read_sealed(data, gateway.target, lambda _, sealed: sealed.partition("=")[2])
    assert found == (gateway, "r")


ENTITIES = b'<!DOCTYPE include [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (b"<include>\n", ENTITIES + b"<include>\n", "a document type"),
        (b"<include>\n", b'<!DOCTYPE include SYSTEM "file:///etc/passwd"><include>\n', "a document type"),
        (b"<include>\n", b"<?xml version='1.0' encoding='utf-16'?><include>\n", "a document type"),
        (b"  <gateway ", b"<?php?>  <gateway ", "a document type"),
        (b"sip.example.com", b"&a;", "the XML"),
        (b"</gateway>", b"", "the XML"),
        (b"sip.example.com", b"sip\0example.com", "the XML"),
        (b"sip.example.com", b"sip\xffexample.com", "the XML"),
        (b"</include>", b"</include><include/>", "the XML"),
        (b"<include>", b'<include xmlns="x">', "the root element"),
        (b"<include>", b'<include a="b">', "the root element"),
        (b"  </gateway>\n", b"  </gateway>\n<gateway name='b'/>", "the root element"),
        (b"  <gateway ", b"text <gateway ", "the root element"),
        (b"    <variables>", b"<![CDATA[text]]><variables>", "the root element"),
        (b"<gateway ", b"<gateway extra='1' ", "<gateway>"),
        (b"    <variables>", b"<X-PRE-PROCESS cmd='exec' data='id'/><variables>", "the gateway's elements"),
        (b"    <variables>", b"<params><param name='a' value='b'/></params><variables>", "the gateway's elements"),
        (b"    </variables>\n", b"    </variables>\n<param name='a' value='b'/>", "the gateway's elements"),
        (b"    <variables>", b"<param/><variables>", "a parameter"),
        (b"    <variables>", b"<param name='a' value='b' c='d'/><variables>", "a sealed parameter"),
        (b"    <variables>", b"<param name='a' value='b' sealed='a=x'/><variables>", "a sealed parameter"),
        (b"    <variables>", b"<param name='a' value='b'><param/></param><variables>", "a parameter"),
        (b"    <variables>", b"<variables extra='1'>", "<variables>"),
        (b'name="sipgw_revision"', b'name="other"', "the revision's variable"),
        (b' direction="outbound"', b"", "the revision's variable"),
        (b' direction="inbound"', b' direction="both"', "a variable's direction"),
        (b' direction="inbound"', b' leg="inbound"', "<variable>"),
        (b"<subscriptions>", b"<subscriptions a='b'>", "<subscriptions>"),
        (b'<subscription event="presence">', b"<subscription>", "<subscription>"),
        (b'value="600"', b'value="0600"', "a subscription"),
        (b'value="600"', b'value="6e2"', "a number"),
        (b'value="600"', b'value="-1"', "a number"),
        (b'value="600"', b'value="' + b"9" * 5000 + b'"', "a number"),
        (b'name="expire-seconds"', b'name="unknown"', "a subscription"),
        (b'in-request" value="true"', b'in-request" value="yes"', "a subscription"),
    ],
    ids=range(35),
)
def test_a_document_of_another_form_is_refused(old: bytes, new: bytes, why: str) -> None:
    assert old in DATA
    with pytest.raises(SealedXmlError) as refusal:
        read(DATA.replace(old, new, 1))
    assert why in str(refusal.value)


def test_a_gateway_without_variables_is_refused_and_so_are_empty_subscriptions() -> None:
    head, _, tail = DATA.partition(b"    <variables>")
    for data in (
        head + b"</gateway></include>",
        head + b"<variables/></gateway></include>",
        (head + b"    <variables>" + tail).partition(b"<subscriptions>")[0] + b"<subscriptions/></gateway></include>",
    ):
        with pytest.raises(SealedXmlError):
            read(data)


EDITS = st.sampled_from([*HAZARDS, *(line.strip() for line in DATA.decode().splitlines()), "sealed=", '"', ""])


@thorough
@given(st.integers(0, len(DATA)), st.integers(0, 20), EDITS)
def test_whatever_became_of_a_document_it_is_a_gateway_or_refused(start: int, length: int, edit: str) -> None:
    edited = DATA[:start] + edit.encode() + DATA[start + length :]
    try:
        gateway, mark = read_sealed(edited, GATEWAY.target, lambda _, sealed: sealed)
    except SealedXmlError:
        return
    again = render_sealed(gateway, mark, lambda _, value: value)
    assert read_sealed(again, GATEWAY.target, lambda _, sealed: sealed) == (gateway, mark)


def test_no_value_is_in_a_refusal(canary: Canary) -> None:
    for new in (canary.password.encode(), b"<" + canary.password.encode(), b"&" + canary.password.encode() + b";"):
        with pytest.raises(SealedXmlError) as refusal:
            read(DATA.replace(b"600", new))
        canary.assert_absent(str(refusal.value), repr(refusal.value))
        assert refusal.value.__cause__ is None
