"""What a write that was not taken is counted as: an alert fires on `refused`, so it is what stays refused."""

from __future__ import annotations

import pytest

from sipgateway.cluster.client import ApiError
from sipgateway.kube.writes import outcome


@pytest.mark.parametrize(
    ("status", "counted"),
    [
        (409, "conflict"),
        (404, "conflict"),  # it went meanwhile
        (0, "transient"),
        (429, "transient"),
        (500, "transient"),
        (503, "transient"),
        (403, "refused"),
        (422, "refused"),
    ],
)
def test_only_what_needs_somebodys_help_is_counted_as_refused(status: int, counted: str) -> None:
    assert outcome(ApiError(status, "Reason", "words")) == counted
