"""What mod_sofia takes from a gateway's element: wrappers, order, aliases, and what is not there."""

from __future__ import annotations

import pytest

from sipgateway.render.preprocessor import preprocess
from sipgateway.render.readback import ReadGateway, ReadSubscription, read_gateways
from sipgateway.render.switchxml import parse, parse_fragment


def read(inside: str) -> ReadGateway:
    (gateway,) = read_gateways(parse(f"<gateway name='a'>{inside}</gateway>".encode()))
    return gateway


def test_params_and_variables_stand_in_the_gateway_itself() -> None:
    gateway = read(
        "<param name='b' value='1'/><variable name='v' value='2'/><param name='a' value='3'/>"
        "<variable name='w' value='' direction='both'/>"
    )
    assert gateway.params == (("b", "1"), ("a", "3"))
    assert gateway.variables == (("v", "2", None), ("w", "", "both"))


def test_with_a_wrapper_only_what_is_inside_it_is_read() -> None:
    gateway = read(
        "<param name='a' value='out'/><params><param name='a' value='in'/></params>"
        "<variable name='v' value='out'/><variables><variable name='v' value='in'/></variables>"
    )
    assert gateway.params == (("a", "in"),)
    assert gateway.variables == (("v", "in", None),)


def test_an_empty_wrapper_hides_everything_outside_it() -> None:
    gateway = read("<params/><param name='a' value='1'/><variables/><variable name='v' value='1'/>")
    assert (gateway.params, gateway.variables) == ((), ())


def test_of_two_wrappers_the_first_counts() -> None:
    gateway = read(
        "<params><param name='a' value='1'/></params><params><param name='b' value='2'/></params>"
        "<variables/><variables><variable name='v' value='1'/></variables>"
        "<subscriptions/><subscriptions><subscription event='e'/></subscriptions>"
    )
    assert (gateway.params, gateway.variables, gateway.subscriptions) == ((("a", "1"),), (), ())


def test_a_param_without_name_or_value_has_empty_ones_a_variable_is_none() -> None:
    gateway = read("<param name='a'/><param value='b'/><variable name='v'/><variable value='w'/><variable/>")
    assert gateway.params == (("a", ""), ("", "b"))
    assert gateway.variables == ()


def test_other_elements_are_not_read_and_names_are_exact() -> None:
    gateway = read("<Param name='a' value='1'/><x><param name='a' value='1'/></x><!-- <param name='a' value='1'/> -->")
    assert gateway.params == ()


def test_subscriptions_are_read_with_their_params() -> None:
    gateway = read(
        "<subscriptions><subscription event='presence'><param name='expire-seconds' value='60'/>"
        "<variable name='v' value='1'/></subscription><subscription/></subscriptions><subscription event='outside'/>"
    )
    assert gateway.subscriptions == (
        ReadSubscription("presence", (("expire-seconds", "60"),)),
        ReadSubscription("", ()),
    )


@pytest.mark.parametrize("name", ["retry-seconds", "retry_seconds"])
def test_the_last_of_equal_names_counts_whatever_its_spelling(name: str) -> None:
    gateway = read("<param name='retry_seconds' value='1'/><param name='retry-seconds' value='2'/>")
    assert gateway.get(name) == "2"
    gateway = read("<param name='retry-seconds' value='2'/><param name='retry_seconds' value='1'/>")
    assert gateway.get(name) == "1"


def test_a_param_that_is_not_there_has_no_value() -> None:
    gateway = read("<param name='Realm' value='1'/><param name='x-vendor' value='2'/>")
    assert (gateway.get("realm"), gateway.get("x-vendor"), gateway.get("x-Vendor")) == (None, "2", None)


def test_gateways_are_found_in_a_fragment_a_profile_and_a_directory() -> None:
    both = b"<gateway name='a'/><gateway name='b'/><other><gateway name='c'/></other>"
    profile = (
        b"<configuration><profiles><profile><gateways>" + both + b"</gateways></profile></profiles></configuration>"
    )
    user = b"<domain><user><gateways>" + both + b"</gateways></user></domain>"
    for tree in (parse_fragment(both), parse(profile), parse(user)):
        assert [gateway.name for gateway in read_gateways(tree)] == ["a", "b"]


def test_of_two_gateways_elements_in_one_profile_the_first_counts() -> None:
    profile = b"<profile><gateways><gateway name='a'/></gateways><gateways><gateway name='b'/></gateways></profile>"
    assert [gateway.name for gateway in read_gateways(parse(profile))] == ["a"]


def test_gateways_outside_any_gateways_element_are_none() -> None:
    assert read_gateways(parse(b"<profile><gateway name='a'/></profile>")) == ()


def test_a_gateway_without_a_name_is_read_with_an_empty_one() -> None:
    assert [gateway.name for gateway in read_gateways(parse_fragment(b"<gateway/>"))] == [""]


def test_the_line_leads_back_to_the_file() -> None:
    expanded = preprocess(b"<include>\n\n<gateway name='a'/>\n<gateway name='b'/>\n</include>\n", file="/conf/a.xml")
    gateways = read_gateways(parse_fragment(expanded.data))
    assert [str(expanded.locate(gateway.line)) for gateway in gateways] == ["/conf/a.xml:3", "/conf/a.xml:4"]
