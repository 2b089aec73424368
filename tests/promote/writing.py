"""SipGateways as people write them: the same values in many styles of YAML, with comments everywhere.

In: hypothesis. Out: specs as plain values, and texts that mean them.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

#: Field -> values that it may have here; `None` leaves it out. Real fields, so that lint could read them too.
SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "proxy": st.sampled_from(["sip.example.com", "sip.example.net:5070", "192.0.2.7"]),
    "realm": st.sampled_from(["example.com", "realm: odd #1", "  blanks  ", "yes", "0123", "ü ☎"]),
    "username": st.sampled_from(["4989123", "acme", "a'b", 'a"b', "1e3", "null"]),
    "expireSeconds": st.integers(60, 7200),
    "retrySeconds": st.integers(30, 300),
    "register": st.booleans(),
    "callerIdInFrom": st.booleans(),
    "contactParams": st.sampled_from(["tport=tcp", "a=b;c=d"]),
}
NESTED: dict[str, st.SearchStrategy[Any]] = {
    "passwordFrom": st.fixed_dictionaries(
        {
            "secretKeyRef": st.fixed_dictionaries(
                {"name": st.sampled_from(["acme", "other"]), "key": st.just("password")}
            )
        }
    ),
    "directory": st.fixed_dictionaries(
        {"domain": st.sampled_from(["example.com", "example.org"]), "user": st.just("1000")}
    ),
    "variables": st.lists(
        st.fixed_dictionaries({"name": st.sampled_from(["a", "b"]), "value": st.sampled_from(["x", "y: z", "#no"])}),
        max_size=2,
    ),
}
FIELDS = SCALARS | NESTED
LABELS = ("carrier", "example.com/tier")


@st.composite
def values(draw: st.DrawFn) -> dict[str, Any]:
    """What a SipGateway says: labels and a spec."""
    spec = {name: draw(strategy) for name, strategy in FIELDS.items() if draw(st.booleans())}
    spec["proxy"] = draw(FIELDS["proxy"])
    labels = {name: draw(st.sampled_from(["gold", "1", "true"])) for name in LABELS if draw(st.booleans())}
    return {"labels": labels, "spec": spec}


@st.composite
def changed(draw: st.DrawFn, before: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """The same with some of these fields set, changed or removed."""
    spec, labels = dict(before["spec"]), dict(before["labels"])
    for name in draw(st.lists(st.sampled_from(names), max_size=4)) if names else ():
        if name.startswith("label:"):
            label = name.removeprefix("label:")
            labels[label] = draw(st.sampled_from(["silver", "2"]))
        elif name != "proxy" and draw(st.booleans()):
            spec.pop(name, None)
        else:
            spec[name] = draw(FIELDS[name])
    return {"labels": labels, "spec": spec}


class Writer:
    """Writes values in a style that is drawn. Every comment has a number, so that it can be looked for."""

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw
        self.comments: list[str] = []

    def manifest(self, name: str, said: dict[str, Any]) -> str:
        lines = self._above(0)
        lines += ["apiVersion: sipgateway.dev/v1alpha1", "kind: SipGateway"]
        meta = {"name": name} | ({"labels": said["labels"]} if said["labels"] else {})
        lines += self._mapping({"metadata": meta, "spec": said["spec"]}, 0, flow=False)
        return "\n".join([*lines, *self._above(0)]) + self._draw(st.sampled_from(["\n", ""]))

    def _mapping(self, value: dict[str, Any], indent: int, *, flow: bool = True) -> list[str]:
        lines: list[str] = []
        step = self._draw(st.sampled_from([2, 4]))
        for key, one in value.items():
            lines += self._above(indent)
            blank = " " * indent
            written = self._scalar(key) if self._draw(st.integers(0, 9)) == 0 else key
            if isinstance(one, dict) and one and (not flow or self._draw(st.booleans())):
                lines.append(f"{blank}{written}:{self._beside()}")
                lines += self._mapping(one, indent + step)
            elif isinstance(one, list) and one and self._draw(st.booleans()):
                lines.append(f"{blank}{written}:{self._beside()}")
                inner = blank + self._draw(st.sampled_from(["", "  "]))
                for entry in one:
                    lines += self._above(indent)
                    lines.append(f"{inner}- {self._flow(entry)}{self._beside()}")
            else:
                lines.append(f"{blank}{written}: {self._flow(one)}{self._beside()}")
        return lines

    def _flow(self, value: Any) -> str:
        if isinstance(value, dict):
            return "{" + ", ".join(f"{key}: {self._flow(one)}" for key, one in value.items()) + "}"
        if isinstance(value, list):
            return "[" + ", ".join(map(self._flow, value)) + "]"
        return self._scalar(value)

    def _scalar(self, value: bool | int | str) -> str:
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, int):
            return str(value)
        plain = (
            value.isascii()
            and value.replace(".", "").replace("/", "").isalpha()
            and value not in {"yes", "null", "true"}
        )
        styles = ["double", "single", *(["plain"] if plain else [])]
        match self._draw(st.sampled_from(styles)):
            case "plain":
                return str(value)
            case "single":
                return "'" + value.replace("'", "''") + "'"
            case _:
                return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'

    def _comment(self) -> str:
        self.comments.append(f"# note {len(self.comments)}: kept")
        return self.comments[-1]

    def _beside(self) -> str:
        return f"  {self._comment()}" if self._draw(st.integers(0, 4)) == 0 else ""

    def _above(self, indent: int) -> list[str]:
        match self._draw(st.integers(0, 7)):
            case 0:
                return [" " * indent + self._comment()]
            case 1:
                return [""]
            case _:
                return []
