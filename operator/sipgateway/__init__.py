"""sipgateway: SIP trunks on FreeSWITCH, declared as Kubernetes objects or plain manifests."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("sipgateway-operator")
except PackageNotFoundError:  # running from a source tree that was never installed
    __version__ = "0+unknown"

__all__ = ["__version__"]
