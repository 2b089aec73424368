"""A commit is judged whole: what would be refused, with file and line, before anything is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sync.commits import FOLDER, Commits, manifest

GOOD = manifest("acme")


@pytest.fixture
def commits(tmp_path: Path) -> Commits:  # without a cluster
    return Commits(tmp_path)


def test_a_good_commit_says_which_objects_it_wants(commits: Commits) -> None:
    found = commits.commit({"acme.yaml": GOOD, "more/other.yaml": manifest("other") + "---\n" + manifest("third")})
    assert found.findings == ()
    assert [(one.name, one.path) for one in found.wanted] == [
        ("acme", f"{FOLDER}/acme.yaml"),
        ("other", f"{FOLDER}/more/other.yaml"),
        ("third", f"{FOLDER}/more/other.yaml"),
    ]
    body = found.wanted[0].applied(found.commit)
    assert body["metadata"]["namespace"] == "voice"
    assert body["metadata"]["labels"] == {"sipgateway.dev/environment": "staging"}
    assert body["metadata"]["annotations"]["sipgateway.dev/commit"] == found.commit
    assert found.tree


def test_the_same_content_is_the_same_tree_and_the_same_objects(commits: Commits) -> None:
    first = commits.commit({"acme.yaml": GOOD})
    commits.commit({"acme.yaml": manifest("acme", ping=60)})
    again = commits.commit({"acme.yaml": GOOD})
    assert (first.tree, [one.digest for one in first.wanted]) == (again.tree, [one.digest for one in again.wanted])
    assert first.commit != again.commit


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "\n".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)

HOSTILE: dict[str, tuple[str, str]] = {
    "a bomb": (f"{GOOD}extra:\n  " + BOMB.replace("\n", "\n  "), "TooComplex"),
    "a key that is there twice": (GOOD + "  register: true\n", "DuplicateKey"),
    "a tag of Python": (GOOD.replace("sip.example.com", "!!python/object/apply:os.system [id]"), ""),
    "broken YAML": (GOOD + " :\n-", ""),
    "another kind": ("apiVersion: v1\nkind: Pod\nmetadata: {name: x}\n", "ForeignKind"),
    "rights": (
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: x}\n",
        "ForeignKind",
    ),
    "a list with another kind": (
        "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Pod, metadata: {name: x}}\n",
        "ForeignKind",
    ),
    "a kustomization": (
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [acme.yaml]\n",
        "ForeignKind",
    ),
    "a Secret": (
        "apiVersion: v1\nkind: Secret\nmetadata: {name: acme}\nstringData: {password: correct-horse}\n",
        "SecretInGit",
    ),
    "another namespace": (
        GOOD.replace("name: acme", "name: other\n  namespace: kube-system"),
        "ForeignNamespace",
    ),
    "a name that is there twice": (GOOD, "DuplicateObject"),
    "a name that is there twice with its namespace": (
        GOOD.replace("name: acme", "name: acme\n  namespace: voice"),
        "DuplicateObject",
    ),
    "a field that is none": (manifest("other", proxxy="sip.example.com"), "UnknownField"),
    "a line feed in a user": (manifest("other", username="a\r\nb"), ""),
    "a file that is no text": ("\x00\x01", ""),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_what_is_not_taken_stops_the_commit_and_is_found_by_file_and_line(what: str, commits: Commits) -> None:
    content, code = HOSTILE[what]
    found = commits.commit({"acme.yaml": GOOD, "b.yaml": content})
    assert found.refusals, found
    told = [str(finding) for finding in found.refusals]
    assert code in {finding.code for finding in found.refusals} or not code, told
    assert any(line.startswith(f"{FOLDER}/") for line in told), told
    assert all(finding.location and finding.location.line for finding in found.refusals if code), told
    assert "correct-horse" not in "".join(told)


def test_an_anchor_is_what_it_stands_for(commits: Commits) -> None:
    text = manifest("acme", proxy="X").replace("proxy: X", "proxy: &x sip.example.com\n  realm: *x")
    [one] = commits.commit({"acme.yaml": text}).wanted
    assert (one.body["spec"]["proxy"], one.body["spec"]["realm"]) == ("sip.example.com", "sip.example.com")


def test_a_hostile_tree_is_a_refusal_not_an_error(commits: Commits) -> None:
    (commits.source / FOLDER).mkdir(parents=True)
    (commits.source / FOLDER / "acme.yaml").symlink_to("/etc/passwd")
    found = commits.commit({})
    assert [finding.code for finding in found.refusals] == ["NotAPlainFile"]
    assert str(found.refusals[0]).startswith(f"{FOLDER}/acme.yaml: ")


def test_a_secret_that_is_in_the_cluster_only_is_no_finding(commits: Commits) -> None:
    body = {"username": "u", "passwordFrom": {"secretKeyRef": {"name": "a", "key": "p"}}, "register": True}
    assert commits.commit({"acme.yaml": manifest("acme", **body)}).refusals == ()
