"""`python -m sipgateway`: the same as `sipgw`."""

import sys

from sipgateway.cli import main

sys.exit(main())
