"""The lab of the operator's tests: a namespace with the shipped rights and an operator at work."""

from tests.kube.conftest import lab  # noqa: F401 - a fixture
