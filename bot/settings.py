"""Settings: read once from TOML and environment into frozen values; a mistake stops the start with one line.

``SCRM__SECTION__KEY`` overrides one; every secret may be given as ``…_file``. No secret has a default.
"""

import difflib
import os
import re
import tomllib
from datetime import time
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

DEFAULT_PATH = Path("config.toml")
PREFIX, SPLIT = "SCRM__", "__"
MAX_NOTICE_BYTES = 480
"""It goes with the first reply to a customer, and a reply of 微信客服 has 2,048 bytes, below a menu 1,024."""
SANDBOX_CORP = "wwsandbox000000001"
"""The corp of every sandbox; it answers to no other, and no real corp is called so."""
Watched = Literal["welcome", "tags", "answers", "mass", "all"]


class SettingsError(Exception):
    """A setting is missing, misspelt or makes no sense; the text is one line that says which and what to do."""


def _base_address(value: Any) -> str:
    if not re.fullmatch(r"https?://[^\s]+", str(value)):
        raise ValueError("must begin with https:// or http://")
    return str(value).rstrip("/")


def _zone(value: Any) -> ZoneInfo:
    if isinstance(value, ZoneInfo):
        return value
    if value not in available_timezones():
        raise ValueError("is not a time zone such as Asia/Shanghai")
    return ZoneInfo(value)


def _database(value: Any) -> str:
    if not str(value).startswith(("sqlite:///", "postgresql+psycopg://", "postgresql://")):
        raise ValueError("must begin with sqlite:/// or postgresql+psycopg://")
    return re.sub(r"^postgresql://", "postgresql+psycopg://", str(value))


def _short_notice(value: str) -> str:
    if len(value.encode()) > MAX_NOTICE_BYTES:
        raise ValueError(
            f"must have at most {MAX_NOTICE_BYTES} bytes, about 160 characters: put a link to the whole in it"
        )
    return value.strip()


Address = Annotated[str, BeforeValidator(_base_address)]
ApiBase = Annotated[str, BeforeValidator(lambda value: _base_address(value) + "/")]


def _shaped(pattern: str, words: str) -> AfterValidator:
    def check(value: SecretStr) -> SecretStr:
        if not re.fullmatch(pattern, value.get_secret_value()):
            raise ValueError(words)
        return value

    return AfterValidator(check)


Token = Annotated[SecretStr, _shaped(r"[A-Za-z0-9]{1,32}", "must be 1 to 32 letters and digits, as in WeCom")]
AesKey = Annotated[SecretStr, _shaped(r"[A-Za-z0-9+/]{43}", "must be 43 letters and digits, as in WeCom")]


class Section(BaseModel):
    """One table of the file: frozen, every key known, ``…_file`` accepted for every secret."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True, hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def read_files(cls, values: Any) -> Any:
        """Replace ``secret_file`` by what the file holds."""
        if not isinstance(values, dict):
            return values
        for name in [key for key in values if key.endswith("_file")]:
            field = cls.model_fields.get(name.removesuffix("_file"))
            if field is not None and name not in cls.model_fields:
                values[name.removesuffix("_file")] = _content(name, values.pop(name))
        return values


def _content(name: str, path: Any) -> str:
    try:
        return Path(str(path)).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ValueError(f"{name}: cannot read {path}: {error.strerror}") from None


class Receiver(Section):
    """A separate secret and receiver, for older corps."""

    secret: SecretStr
    token: Token
    encoding_aes_key: AesKey


class WeComSettings(Section):
    """How we are known to WeCom."""

    corp_id: str = Field(min_length=2, max_length=64)
    agent_id: int
    secret: SecretStr
    token: Token
    encoding_aes_key: AesKey
    api_base: ApiBase = "https://qyapi.weixin.qq.com/cgi-bin/"
    oauth_base: Address = "https://open.weixin.qq.com"
    login_base: Address = "https://login.work.weixin.qq.com"
    watch: tuple[Watched, ...] = ()
    contact: Receiver | None = None
    kf: Receiver | None = None

    @property
    def sandbox(self) -> str:
        """The address of the page where one plays customers, if our WeCom is a sandbox on this machine; else empty."""
        there = urlsplit(self.api_base)
        ours = self.corp_id == SANDBOX_CORP and there.hostname in ("127.0.0.1", "localhost", "::1")
        return f"{there.scheme}://{there.netloc}/" if ours else ""


class StorageSettings(Section):
    """Where everything is kept."""

    url: Annotated[str, BeforeValidator(_database)] = "sqlite:///data/scrm.db"

    @property
    def embedded(self) -> bool:
        """Whether it is SQLite: one machine, one supervisor."""
        return self.url.startswith("sqlite")


class RedisSettings(Section):
    """Optional: the bell and the tokens for several machines."""

    url: str = ""


class ContactSettings(Section):
    """How often, and when, a customer may hear from us."""

    quota: Literal["day_1", "week_7", "month_days"] = "day_1"
    min_gap_hours: int = Field(default=72, ge=0)
    quiet_from: time = time(22, 0)
    quiet_to: time = time(8, 0)
    second_above: int = Field(default=500, ge=0)


class PrivacySettings(Section):
    """What we tell customers about their words, and how long we keep those."""

    notice: Annotated[str, AfterValidator(_short_notice)] = ""
    keep_text_days: int = Field(default=0, ge=0)


class PointsSettings(Section):
    """How points are earned."""

    pending_days: int = Field(default=7, ge=0)


class WebhookSettings(Section):
    """Calls of other systems' addresses."""

    private_networks: bool = False


class MpSettings(Section):
    """The shop's 公众号, by which customers sign in on their own page; without it that is not offered."""

    app_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9]{0,18}$")] = ""
    secret: SecretStr = SecretStr("")
    api_base: Address = "https://api.weixin.qq.com"
    oauth_base: Address = "https://open.weixin.qq.com"

    @model_validator(mode="after")
    def _both(self) -> "MpSettings":
        if bool(self.app_id) != bool(self.secret.get_secret_value()):
            raise ValueError("app_id and secret belong together: give both, or neither")
        return self


class WebSettings(Section):
    """Where we listen and how we are reached from outside."""

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=1, le=65535)
    base_url: Address = "http://127.0.0.1:8000"
    customer_base_url: Annotated[str, BeforeValidator(lambda value: _base_address(value) if value else "")] = ""
    secret_key: Annotated[SecretStr, Field(min_length=32)]
    shop_name: str = Field(default="", max_length=40)

    @property
    def home(self) -> str:
        """Where customers' own pages are reached from outside."""
        return self.customer_base_url or self.base_url


class Settings(BaseSettings):
    """All settings."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter=SPLIT,
        extra="forbid",
        frozen=True,
        arbitrary_types_allowed=True,
        hide_input_in_errors=True,
    )
    path: ClassVar[Path | None] = None

    timezone: Annotated[ZoneInfo, BeforeValidator(_zone)] = ZoneInfo("Asia/Shanghai")
    wecom: WeComSettings
    storage: StorageSettings = StorageSettings()
    redis: RedisSettings = RedisSettings()
    contact: ContactSettings = ContactSettings()
    privacy: PrivacySettings = PrivacySettings()
    points: PointsSettings = PointsSettings()
    webhooks: WebhookSettings = WebhookSettings()
    mp: MpSettings = MpSettings()
    web: WebSettings

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What was given in code first, then the environment, then the file."""
        file = () if cls.path is None else (TomlConfigSettingsSource(settings_cls, cls.path),)
        return (init_settings, env_settings, *file)


def load(path: Path | None = None) -> Settings:
    """Read the settings at ``path`` (or ``SCRM_CONFIG``, or ``config.toml``). Raises ``SettingsError``."""
    path = path or Path(os.environ.get("SCRM_CONFIG", DEFAULT_PATH))
    if not path.is_file():
        raise SettingsError(f"there is no {path}; copy config.example.toml to it and fill in the [wecom] part")
    _check_environment()
    here = type("SettingsHere", (Settings,), {"path": path, "__module__": __name__})
    try:
        settings: Settings = here()
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} is not TOML: {error}") from None
    except ValidationError as error:
        raise SettingsError(f"{path}: {_first_problem(error)}") from None
    return settings


def _check_environment() -> None:
    """A misspelt section in the environment would otherwise be overlooked."""
    for name in os.environ:
        if name.startswith(PREFIX):
            first = name.removeprefix(PREFIX).split(SPLIT)[0].lower()
            if first not in Settings.model_fields:
                raise SettingsError(f"{name}: there is no section [{first}]{_near(first, list(Settings.model_fields))}")


def _first_problem(error: ValidationError) -> str:
    problems = error.errors(include_url=False, include_input=False)
    problem = next((one for one in problems if one["type"] == "extra_forbidden"), problems[0])
    *where, last = [str(part) for part in problem["loc"]] or ["?"]
    place = f"[{'.'.join(where)}] {last}" if where else last
    if problem["type"] == "extra_forbidden":
        return f"{place} is not a setting{_near(last, _known(where))}"
    if problem["type"] == "missing":
        return f"{place} is missing; see config.example.toml"
    return f"{place}: {problem['msg'].removeprefix('Value error, ')}"


def _known(where: list[str]) -> list[str]:
    model: Any = Settings
    for part in where:
        model = model.model_fields[part].annotation
        model = next((one for one in getattr(model, "__args__", ()) if one is not type(None)), model)
    return list(model.model_fields)


def _near(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]}?" if close else ""
