"""The layout that `sipgw env init` writes: two environments, and one trunk in the first. In: nothing. Out: texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

FILES: Final[Mapping[str, str]] = {
    "environments/environments.yaml": """\
# The environments, in the order in which trunks are promoted: staging first, then production.
apiVersion: sipgateway.dev/v1alpha1
kind: Environments
environments:
  - name: staging # also the name of its folder
    namespace: telephony-staging
    gates: # what must be so before anything goes on from here
      readyFor: 10m
  - name: production
    namespace: telephony
    own: # what a promotion leaves as it is here
      - fields: [spec.username, spec.passwordFrom, spec.proxy]
""",
    "environments/staging/acme.yaml": """\
# The trunk to ACME, on the carrier's test account.
apiVersion: sipgateway.dev/v1alpha1
kind: SipGateway
metadata:
  name: acme
spec:
  username: "4989000"
  passwordFrom: # a Secret with the label sipgateway.dev/credentials: "true"
    secretKeyRef: {name: acme, key: password}
  proxy: test.sip.example.com
  expireSeconds: 600
""",
    "environments/production/acme.yaml": """\
# The trunk to ACME. What is here is production's own; `sipgw promote staging production` adds the rest.
apiVersion: sipgateway.dev/v1alpha1
kind: SipGateway
metadata:
  name: acme
spec:
  username: "4989123"
  passwordFrom:
    secretKeyRef: {name: acme, key: password}
  proxy: sip.example.com
""",
}
