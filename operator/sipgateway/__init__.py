"""sipgateway: SIP trunks on FreeSWITCH, declared as Kubernetes objects or plain manifests."""

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

try:
    __version__ = version("sipgateway-operator")
except PackageNotFoundError:  # a source tree that was never installed
    _file = Path(__file__).resolve().parents[2] / "VERSION"
    __version__ = _file.read_text("utf-8").strip() if _file.is_file() else "0+unknown"

__all__ = ["__version__"]
