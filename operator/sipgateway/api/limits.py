"""Upper bounds of everything a SipGateway may hold: the parser's and the CRD's, from one place.

No list and no text is without a bound: one object never grows past what one small ConfigMap carries, and the
API server can estimate the cost of the CEL rules from these numbers.
"""

from __future__ import annotations

#: Characters of `metadata.name`: the ConfigMap is called `sipgateway-NAME`, and Kubernetes stops at 253.
MAX_OBJECT_NAME = 242
#: Characters of `spec.switch`: it is the value of a label (Kubernetes allows 63).
MAX_SWITCH = 63
#: Characters of `spec.profile`, which is also a folder's name and stands in commands to the switch.
MAX_PROFILE = 64
#: Characters of the directory's domain (a DNS name) and user.
MAX_DIRECTORY_DOMAIN = 253
MAX_DIRECTORY_USER = 64
#: Characters of a Secret's name and of a key in it, as Kubernetes has them.
MAX_SECRET_NAME = 253
MAX_SECRET_KEY = 253

MAX_VARIABLES = 64
MAX_VARIABLE_NAME = 128
MAX_VARIABLE_VALUE = 2048

MAX_SUBSCRIPTIONS = 16
MAX_EVENT = 64
MAX_CONTENT_TYPE = 128

MAX_EXTRA_PARAMS = 32
MAX_EXTRA_NAME = 64
MAX_EXTRA_VALUE = 1024

#: Of a SipSwitch's status. Names of gateways are never cut off, so these lists hold a whole fleet; words for people are
#: cut, and where there are more groups of problems than fit, groups of one reason are put together.
MAX_POD_NAME = 253
MAX_AGENT_VERSION = 64
MAX_SEAL_KEYS = 16
MAX_PROBLEMS = 1024
MAX_PROBLEM_GATEWAYS = 20_000
#: Bytes of all problems together: etcd takes 1.5 MiB in one request, and the object is more than these.
MAX_PROBLEM_BYTES = 1_400_000
MAX_REASON = 64
MAX_MESSAGE = 1024
