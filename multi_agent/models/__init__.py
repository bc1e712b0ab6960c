"""Language models behind one port. `build_model` makes a client for a specification."""

from __future__ import annotations

from multi_agent.models.build import (
    build_model,
    check_price,
    check_service,
    model_prices,
    price_lines,
    service_models,
    unpriced,
)
from multi_agent.models.readiness import Asked, check_model
from multi_agent.models.specification import MODEL_FORMS, ModelSettings, told

__all__ = [
    "MODEL_FORMS",
    "Asked",
    "ModelSettings",
    "build_model",
    "check_model",
    "check_price",
    "check_service",
    "model_prices",
    "price_lines",
    "service_models",
    "told",
    "unpriced",
]
