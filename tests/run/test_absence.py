"""What counts as evidence that a trunk is not wanted any more: absence that lasts, in a source that could be read."""

from __future__ import annotations

from pathlib import Path

from sipgateway.cli.pipeline import Pipeline
from sipgateway.render.revision import RevisionKey

MANIFEST = """apiVersion: sipgateway.dev/v1alpha1
kind: SipGateway
metadata:
  name: {name}
spec:
  register: false
  proxy: sip.example.com
"""


def pipeline(source: Path, **options: object) -> Pipeline:
    return Pipeline(source, RevisionKey(b"k" * 32), **{"switch": "default", "quiet": 2.0, **options})  # type: ignore[arg-type]


def written(folder: Path, *names: str) -> None:
    for name in names:
        (folder / f"{name}.yaml").write_text(MANIFEST.format(name=name))


def test_a_manifest_that_is_gone_for_a_moment_takes_nothing_down(tmp_path: Path) -> None:
    written(tmp_path, "a", "b")
    looks = pipeline(tmp_path)
    assert not looks.look(0.0).desired.complete  # the first moments prove nothing
    (tmp_path / "a.yaml").unlink()
    look = looks.look(10.0)
    assert look.desired.wanted.keys() == {"a", "b"}
    assert look.look_again == 12.0
    written(tmp_path, "a")
    assert looks.look(11.0).look_again is None
    (tmp_path / "a.yaml").unlink()
    looks.look(20.0)
    look = looks.look(22.0)
    assert look.desired.wanted.keys() == {"b"}
    assert look.desired.complete


def test_a_wrong_switch_or_an_empty_folder_proves_nothing(tmp_path: Path) -> None:
    written(tmp_path, "a")
    assert not pipeline(tmp_path, switch="typo", quiet=0.0).look(0.0).desired.complete
    assert pipeline(tmp_path, quiet=0.0).look(0.0).desired.complete
    (tmp_path / "a.yaml").unlink()
    assert not pipeline(tmp_path, quiet=0.0).look(0.0).desired.complete
    assert pipeline(tmp_path, quiet=0.0, allow_empty=True).look(0.0).desired.complete


def test_a_manifest_of_which_nobody_knows_what_it_was_good_for_holds_up_removals(tmp_path: Path) -> None:
    written(tmp_path, "a")
    (tmp_path / "x.yaml").write_text(MANIFEST.format(name="x") + "  gatewayname: carrier\n")
    assert not pipeline(tmp_path, quiet=0.0).look(0.0).desired.complete


def test_a_switch_that_is_in_no_pod_hears_nothing_of_pods(tmp_path: Path) -> None:
    text = MANIFEST.format(name="a").replace(
        "register: false", "username: u\n  passwordFrom: {secretKeyRef: {name: s}}"
    )
    text = text.replace("name: s}", "name: s, key: p}")
    secret = 'apiVersion: v1\nkind: Secret\nmetadata: {name: s, labels: {"sipgateway.dev/credentials": "true"}}\n'
    (tmp_path / "a.yaml").write_text(f"{text}---\n{secret}stringData: {{p: pw}}\n")
    look = pipeline(tmp_path).look(0.0)
    assert look.desired.wanted.keys() == {"a"}
    assert look.findings == ()


RENAMED = MANIFEST + "  gatewayName: {trunk}\n"


def test_after_a_restart_a_manifest_that_is_broken_still_holds_the_trunk_it_was_good_for(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(RENAMED.format(name="x", trunk="old"))
    written(tmp_path, "a")
    before = pipeline(tmp_path, quiet=0.0).look(0.0)
    assert before.owners == {"old": ("default", "x"), "a": ("default", "a")}
    (tmp_path / "x.yaml").write_text(RENAMED.format(name="x", trunk="new") + "  retrySeconds: 3\n")
    look = pipeline(tmp_path, quiet=0.0, owners=before.owners).look(0.0)
    assert look.desired.wanted.keys() == {"a"}
    assert look.desired.held == {"old", "new"}
    assert look.desired.complete
    assert look.owners == before.owners
    assert not pipeline(tmp_path, quiet=0.0).look(0.0).desired.held & {"old"}


def test_who_has_a_name_keeps_it_when_a_second_manifest_wants_it(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(RENAMED.format(name="m", trunk="trunk"))
    looks = pipeline(tmp_path)
    looks.look(0.0)
    (tmp_path / "b.yaml").write_text(RENAMED.format(name="b", trunk="trunk"))
    look = looks.look(1.0)
    assert look.owners == {"trunk": ("default", "m")}
    assert [finding.code for finding in look.findings] == ["GatewayNameTaken"]
    again = pipeline(tmp_path, owners=look.owners).look(0.0)
    assert again.owners == look.owners
    (tmp_path / "m.yaml").unlink()
    assert looks.look(2.0).owners == {"trunk": ("default", "b")}
