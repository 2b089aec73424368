"""sipgateway: SIP trunks on FreeSWITCH, declared as Kubernetes objects or plain manifests."""

from pathlib import Path

__all__ = ["__version__"]


def _version() -> str:
    """The version of the source tree, or of the installed package.

    Found by its folder's name: importlib.metadata takes 1.2 MB of memory, and there is an agent in each switch pod.
    """
    package = Path(__file__).resolve().parent
    source = package.parents[1] / "VERSION"
    if (package.parents[1] / "pyproject.toml").is_file() and source.is_file():
        return source.read_text("utf-8").strip()
    for folder in package.parent.glob("sipgateway_operator-*.dist-info"):
        return folder.name.removeprefix("sipgateway_operator-").removesuffix(".dist-info")
    return "0+unknown"


__version__ = _version()
