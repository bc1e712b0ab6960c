"""`contracts.get_message_bus`."""

from __future__ import annotations

from typing import Final

from contracts.base.errors import InvalidInput
from contracts.base.secrets.redaction import Redactor, url_secrets
from contracts.bus.blocking import BlockingMessageBus
from multi_agent.facade.options import settings_from
from multi_agent.runtime.locks import FileLock
from multi_agent.settings import Settings
from multi_agent.telemetry.logs import set_up_script_logs

DEFAULT_URL: Final = "redis://127.0.0.1:6379/0"


def get_message_bus(url: str | None = None) -> BlockingMessageBus:
    """The bus at `url`: redis://, rediss:// or unix:// for a server, memory://NAME within this process.

    Without a URL: REDIS_URL, else the private Redis of what serves the data folder now, else the default port
    on this machine. Connects when it is first used. Raises NotConfigured for any other URL.
    """
    if url is not None and not isinstance(url, str):
        raise InvalidInput(f"url is a {type(url).__name__}; give text such as {DEFAULT_URL}")
    if not url:
        return BlockingMessageBus(_known_url(settings_from({})))
    set_up_script_logs(Redactor(url_secrets(url)))
    return BlockingMessageBus(url)


def _known_url(settings: Settings) -> str:
    if settings.redis_url is not None:
        return settings.redis_url.get_secret_value()
    serving = FileLock(settings.data / "stack.lock")
    private = serving.note().get("redis_url") if serving.held_by_other() else None
    return str(private or DEFAULT_URL)
