"""Secrets that stand in files: what containers and service managers hand to a program.

A setting that opens something may be named as `<SETTING>_FILE`, the path of a file with its
value, so that it stands in no environment, which a process hands on to its children and a
container's description shows. Lines of the file are joined with commas: AUTH_SECRET may be several.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from common.errors import ConfigError

# Settings that hold a secret, or an address with a password in it.
IN_FILES = frozenset(
    {
        *("redis_url", "database_url", "database_urls", "roads_url"),
        *("auth_secret", "webhook_secret"),
    }
)
SUFFIX = "_FILE"
# A device or a log by mistake would otherwise be read for ever.
FILE_BYTES_MAX = 65_536


class SecretFiles(PydanticBaseSettingsSource):
    """The values of the files that `given_values` names."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """The value of one setting, None where no file is named. Raises `ConfigError`."""
        name = file_variable(field_name)
        path = given_values().get(name, "") if field_name in IN_FILES else ""
        return (_read(name, Path(path)) if path else None), field_name, False

    def __call__(self) -> dict[str, Any]:
        """All values."""
        fields = self.settings_cls.model_fields.items()
        values = {name: self.get_field_value(field, name)[0] for name, field in fields}
        return {name: value for name, value in values.items() if value is not None}


class FromFiles(BaseSettings):
    """Settings of which some may stand in files; the environment and `.env` win over these."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Where values come from, the first wins."""
        return init_settings, env_settings, dotenv_settings, SecretFiles(settings_cls)


def file_variable(field: str) -> str:
    """The variable that names the file of a setting."""
    return f"{field.upper()}{SUFFIX}"


def given_values() -> dict[str, str]:
    """What `.env` and the environment say, by upper-case name; the environment wins.

    Raises `ConfigError` for a file that cannot be read.
    """
    values = {**_values_in_file(), **os.environ}
    return {name.upper(): value for name, value in values.items() if value is not None}


def require_one(values: Mapping[str, str]) -> None:
    """Raise `ConfigError` for a setting that is given twice: in a file, and as it is."""
    for field in sorted(IN_FILES):
        name, file = field.upper(), file_variable(field)
        if values.get(name) and values.get(file):
            raise ConfigError(f"{name} and {file}: set one of them")


def _values_in_file() -> dict[str, str | None]:
    file = Path(".env")
    try:
        return dict(dotenv_values(file)) if file.is_file() else {}
    except (OSError, UnicodeError) as e:
        raise ConfigError(f"{file}: cannot be read") from e


def _read(name: str, path: Path) -> str:
    try:
        with path.open() as file:
            text = file.read(FILE_BYTES_MAX)
    except (OSError, UnicodeError) as e:
        why = e.strerror if isinstance(e, OSError) else "it is no text"
        raise ConfigError(f"{name}: cannot read {path}: {why}") from e
    value = ",".join(text.split())
    if not value:
        raise ConfigError(f"{name}: {path} is empty")
    return value
