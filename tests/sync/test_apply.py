"""A commit against a real API server, with the rights of a sync: what is written, what is not, and what is pruned."""

from __future__ import annotations

import pytest

from tests.controlplane.api import ApiError
from tests.kube.lab import Lab, gateway
from tests.sync.commits import FOLDER, Commits, manifest
from tests.sync.rights import sync_kubeconfig


def names(lab: Lab) -> list[str]:
    return sorted(obj["metadata"]["name"] for obj in lab.all("sipgateways"))


def versions(lab: Lab) -> dict[str, str]:
    return {obj["metadata"]["name"]: obj["metadata"]["resourceVersion"] for obj in lab.all("sipgateways")}


def four(ping: int = 60) -> dict[str, str | None]:
    return {f"{n}.yaml": manifest(f"gw-{n}", ping=ping) for n in range(4)}


def test_a_commit_is_in_the_cluster_and_an_unchanged_one_writes_nothing(lab: Lab, commits: Commits) -> None:
    first = commits.commit(four())
    report = commits.apply(first)
    assert (sorted(report.applied), report.pruned, report.refusals) == ([f"gw-{n}" for n in range(4)], [], ())
    meta = lab.get("sipgateways", "gw-0")["metadata"]
    assert meta["annotations"]["sipgateway.dev/commit"] == first.commit
    assert meta["annotations"]["sipgateway.dev/path"] == f"{FOLDER}/0.yaml"
    assert [entry["manager"] for entry in meta["managedFields"]] == ["sipgateway-sync"]
    before = versions(lab)
    assert commits.apply(first).unchanged == [f"gw-{n}" for n in range(4)]
    other = commits.commit({"2.yaml": manifest("gw-2", ping=30)})
    assert commits.apply(other).applied == ["gw-2"]
    after = versions(lab)
    assert {name for name in after if after[name] != before[name]} == {"gw-2"}


def test_what_somebody_deletes_by_hand_is_put_back(lab: Lab, commits: Commits) -> None:
    wanted = commits.commit({"a.yaml": manifest("acme", ping=60), "b.yaml": manifest("other")})
    commits.apply(wanted)
    lab.delete("other")
    report = commits.apply(wanted)
    assert (report.applied, names(lab)) == (["other"], ["acme", "other"])


def test_a_conflict_is_named_with_the_other_manager_and_nothing_is_written(lab: Lab, commits: Commits) -> None:
    commits.apply(commits.commit({"a.yaml": manifest("acme", ping=60)}))
    body = {"spec": {"ping": 20}}
    lab.plane.api.patch(lab.path("sipgateways", "acme"), body, fieldManager="somebody-else")
    report = commits.apply(commits.commit({"a.yaml": manifest("acme", ping=60), "b.yaml": manifest("other")}))
    [finding] = report.refusals
    assert finding.code == "FieldConflict"
    assert "somebody-else" in finding.message
    assert ".spec.ping" in finding.message
    assert str(finding).startswith(f"{FOLDER}/a.yaml:")
    assert names(lab) == ["acme"]


def test_what_the_api_server_would_refuse_is_found_before_the_first_write(lab: Lab, commits: Commits) -> None:
    labelled = manifest("labelled").replace("name: labelled", "name: labelled\n  labels: {example.com/to: a b}")
    found = commits.commit({"a.yaml": manifest("acme"), "b.yaml": labelled})
    assert found.refusals == ()
    report = commits.apply(found)
    assert [finding.code for finding in report.refusals] == ["DryRunRefused"]
    assert str(report.refusals[0]).startswith(f"{FOLDER}/b.yaml:")
    assert "a b" in report.refusals[0].message
    assert names(lab) == []


def test_only_what_it_applied_itself_is_pruned(lab: Lab, commits: Commits) -> None:
    lab.plane.api.apply(lab.path("sipgateways", "by-hand"), gateway("by-hand"), manager="kubectl")
    elsewhere = gateway("elsewhere")
    elsewhere["metadata"]["labels"] = {"sipgateway.dev/environment": "production"}
    lab.plane.api.apply(lab.path("sipgateways", "elsewhere"), elsewhere, manager="kubectl")
    commits.apply(commits.commit(four()))
    report = commits.apply(commits.commit({"0.yaml": None}))
    assert report.pruned == ["gw-0"]
    assert names(lab) == ["by-hand", "elsewhere", "gw-1", "gw-2", "gw-3"]


def test_no_more_than_a_share_is_pruned_at_once(lab: Lab, commits: Commits) -> None:
    commits.apply(commits.commit(four()))
    found = commits.commit({"0.yaml": None, "1.yaml": None, "2.yaml": manifest("gw-2", ping=30)})
    report = commits.apply(found)
    assert [finding.code for finding in report.refusals] == ["PruneTooMuch"]
    assert "2 of 4" in str(report.refusals[0])
    assert "gw-0, gw-1" in str(report.refusals[0])
    assert names(lab) == [f"gw-{n}" for n in range(4)]
    assert lab.get("sipgateways", "gw-2")["spec"]["ping"] == 60
    assert commits.apply(found, max_prune=0.5).pruned == ["gw-0", "gw-1"]
    report = commits.apply(commits.commit({"2.yaml": None, "4.yaml": manifest("gw-4")}))
    assert (report.pruned, report.applied) == (["gw-2"], ["gw-4"]), report.refusals


def test_with_leave_any_share_is_pruned(lab: Lab, commits: Commits) -> None:
    commits.apply(commits.commit(four()))
    found = commits.commit({f"{n}.yaml": None for n in range(3)})
    assert commits.apply(found, allow_prune=True).pruned == ["gw-0", "gw-1", "gw-2"]


def test_an_empty_tree_prunes_nothing(lab: Lab, commits: Commits) -> None:
    commits.apply(commits.commit({"0.yaml": manifest("gw-0")}))
    found = commits.commit({"0.yaml": None})
    assert found.wanted == ()
    for options in ({}, {"allow_prune": True, "max_prune": 1.0}):
        assert [finding.code for finding in commits.apply(found, **options).refusals] == ["EmptyTree"]
    assert names(lab) == ["gw-0"]


def test_an_object_that_changed_hands_meanwhile_is_not_pruned(lab: Lab, commits: Commits) -> None:
    """Deleted and made anew by somebody else under the same name: it is another one."""
    commits.apply(commits.commit(four()))
    lab.delete("gw-0")
    lab.plane.api.apply(lab.path("sipgateways", "gw-0"), gateway("gw-0"), manager="kubectl")
    assert commits.apply(commits.commit({"0.yaml": None})).pruned == []
    assert "gw-0" in names(lab)


def test_a_sync_has_no_right_to_anything_else(lab: Lab, commits: Commits) -> None:
    other = lab.plane.create_namespace()
    try:
        api = lab.plane.api_as(sync_kubeconfig(lab, "sync-of-another-test"))
        with api:
            kind = "apis/sipgateway.dev/v1alpha1"
            for path in (f"/api/v1/namespaces/{lab.namespace}/secrets", f"/{kind}/namespaces/{other}/sipgateways"):
                with pytest.raises(ApiError, match="403"):
                    api.get(path)
    finally:
        lab.plane.delete_namespace(other)
