"""`sipgw diff`: what would change on the switch, by gateway, in words a person decides by. Changes nothing."""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import sys

from sipgateway.agent.executor import Executor
from sipgateway.agent.files import ConfFolder
from sipgateway.agent.view import SwitchView
from sipgateway.cli.options import add_conf, add_esl, add_source, esl_of, layout_of
from sipgateway.cli.owners import read_owners
from sipgateway.cli.pipeline import Look, Pipeline
from sipgateway.errors import ExitCode
from sipgateway.esl.client import connect
from sipgateway.reconcile.impact import Impact, impact
from sipgateway.reconcile.plan import Plan, plan
from sipgateway.render.preprocessor import preprocess
from sipgateway.render.readback import ReadGateway, read_gateways
from sipgateway.render.revision import RevisionKey, key_id_of
from sipgateway.render.switchxml import SwitchXmlError, parse

HELP = (
    "Compares a folder of manifests with what the switch has loaded, and says what `sipgw run` would do and whether "
    "anybody would notice. Reads only."
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    add_source(parser)
    add_conf(parser)
    add_esl(parser)
    parser.add_argument("--adopt", action="store_true", help="as with `sipgw run --adopt`")
    parser.add_argument("--exit-code", action="store_true", help="end with 1 when something would change")
    parser.add_argument("--output", choices=("text", "json"), default="text")


def run(args: argparse.Namespace) -> int:
    """Does the work; returns an exit code."""
    esl, layout = esl_of(args), layout_of(args)
    folder = ConfFolder(args.conf.absolute(), layout)
    key = RevisionKey(folder.revision_key() if folder.has_key else secrets.token_bytes(32))  # made by `run` only
    look = Pipeline(args.source, key, args.switch, layout, args.allow_empty, owners=read_owners(folder)).look()
    view = asyncio.run(_view(esl.host, esl.port, esl.password))
    todo = plan(
        view.listed(look.desired.wanted),
        view.loaded(),
        ours=lambda r: key_id_of(r) == key.key_id,
        removable=lambda name: look.desired.complete and name not in look.desired.held,
        adopt=args.adopt,
    )
    impacts = describe(todo, look, folder.read_all())
    kept = sorted(look.desired.held & view.loaded().keys())
    for finding in look.findings:
        print(f"sipgw: {finding}", file=sys.stderr)
    (_print_json if args.output == "json" else _print_text)(impacts, todo, kept)
    if look.errors:
        return ExitCode.INPUT
    return ExitCode.FAILED if impacts and args.exit_code else ExitCode.OK


def describe(todo: Plan, look: Look, files: dict[str, bytes]) -> list[Impact]:
    """Words for each step of a plan; what is loaded now is known from our own files."""
    before = {g.name: g for data in files.values() for g in _read(data)}
    found: list[Impact] = []
    for step in sorted(todo.steps, key=lambda s: s.name):
        rendered = look.rendered.get(step.name)
        found.append(impact(step, before.get(step.name), None if rendered is None else rendered.gateway))
    return found


async def _view(host: str, port: int, password: str) -> SwitchView:
    async with await connect(host, port, password) as client:
        view = SwitchView()
        await Executor(client, view).read_everything()
        return view


def _read(data: bytes) -> tuple[ReadGateway, ...]:
    try:
        return read_gateways(parse(preprocess(data, file="").data))
    except SwitchXmlError:
        return ()


def _print_text(impacts: list[Impact], todo: Plan, kept: list[str]) -> None:
    for entry in impacts:
        print(entry)
    for name in kept:
        print(f"keep {name}: its manifest is refused; what is loaded stays")
    for problem in todo.problems:
        print(f"{problem.kind} {problem.name}: {problem.message} {problem.action}")
    count = len(impacts)
    what = "nothing would change" if not count else f"{count} gateway{'s' if count > 1 else ''} would change"
    print(f"{what}; {todo.unchanged} stay as they are and are not touched.")


def _print_json(impacts: list[Impact], todo: Plan, kept: list[str]) -> None:
    document = {
        "changes": [
            {
                "gateway": entry.step.name,
                "kind": entry.step.kind,
                "profile": entry.step.profile,
                "why": entry.step.why,
                "changes": list(entry.changes),
                "effect": entry.effect,
                "disruptive": entry.disruptive,
            }
            for entry in impacts
        ],
        "problems": [
            {"gateway": p.name, "kind": p.kind, "message": p.message, "action": p.action} for p in todo.problems
        ],
        "kept": kept,
        "unchanged": todo.unchanged,
    }
    print(json.dumps(document, indent=2, ensure_ascii=False))
