"""Where traces go: a part of the settings, by the variables that every OpenTelemetry exporter reads."""

from __future__ import annotations

from pydantic import AliasChoices, BaseModel, Field, SecretStr


class TraceSettings(BaseModel):
    """The settings for exporting traces."""

    otlp_endpoint: str | None = Field(
        default=None,
        validation_alias=AliasChoices("OTEL_EXPORTER_OTLP_ENDPOINT"),
        description="where `run` and `up` send traces by OTLP over HTTP; needs the extra `otel`",
    )
    otlp_headers: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("OTEL_EXPORTER_OTLP_HEADERS"),
        description="headers for it, `NAME=VALUE` with commas between",
    )

    @property
    def otlp_secrets(self) -> list[str]:
        """What is secret of the headers."""
        given = self.otlp_headers.get_secret_value() if self.otlp_headers else ""
        return [part.partition("=")[2].strip() for part in given.split(",")]
