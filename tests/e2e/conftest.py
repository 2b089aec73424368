"""Only `make e2e` collects these tests: it starts the node that they need, and says where it is."""

from __future__ import annotations

import os

collect_ignore_glob = [] if os.environ.get("SIPGW_E2E") else ["test_*.py"]
