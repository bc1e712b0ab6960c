"""What the adapters of model services share: the endpoint, and a schema in words."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from pydantic import SecretStr

from contracts.base.secrets.redaction import MARK, Redactor
from contracts.ports.model import ModelRequest
from multi_agent.models.prices import Price


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A model at a service."""

    service: str
    """The kind of service, as in the specification of a model, such as "gemini"."""
    model: str
    """The service's name for the model."""
    api_key: SecretStr | None
    base_url: str | None
    """None for the service's own address."""
    url_setting: str
    """What a user sets to change `base_url`."""
    proxy: str | None
    """Through which the service is reached, None for directly."""
    timeout_seconds: float
    """The limit of one attempt, from the first byte sent to the last byte received."""
    max_answer_bytes: int
    """The limit of the answer's text, in bytes of UTF-8."""
    redact: Redactor
    price: Price

    @property
    def name(self) -> str:
        return f"{self.service}:{self.model}"

    @property
    def where(self) -> str:
        """The model's name, and how it is reached where that is not the usual way."""
        # Not whole URLs: they may contain a user and a password.
        at = f" at {host_of(self.base_url)}" if self.base_url else ""
        through = f" through the proxy {host_of(self.proxy)}" if self.proxy else ""
        return f"model {self.name}{at}{through}"

    @property
    def max_body_bytes(self) -> int:
        """The limit of an HTTP body: JSON escapes may double the text, and the envelope needs room."""
        return 2 * self.max_answer_bytes + 100_000

    @property
    def key_text(self) -> str:
        """The key in plain text, "" for none. Only for passing it to an SDK."""
        return self.api_key.get_secret_value() if self.api_key else ""

    def scrub(self, text: str) -> str:
        """Remove secrets from a service's message and shorten it to 300 characters."""
        if self.key_text:
            # Also one that is too short for the redactor: a message, unlike an answer, is not ruined by it.
            text = text.replace(self.key_text, MARK)
        text = self.redact(text)
        return " ".join(text.split())[:300]


def host_of(url: str) -> str:
    """The host of a URL, with its port if it has one."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)


def with_schema_in_words(request: ModelRequest, schema: str) -> str:
    """Return the system text with the schema appended, for a service that accepts no schema."""
    order = f"Answer with one JSON document and nothing else. It must satisfy this JSON Schema:\n{schema}"
    return f"{request.system}\n\n{order}" if request.system else order
