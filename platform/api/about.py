"""Which version of Rostra this is."""

from importlib.metadata import PackageNotFoundError, version


def own_version() -> str:
    """The installed distribution's version; `0+unknown` when run from files without installing."""
    try:
        return version("rostra")
    except PackageNotFoundError:
        return "0+unknown"
