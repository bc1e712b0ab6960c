"""Language models behind one port. `build_model` makes a client for a specification."""

from __future__ import annotations

from multi_agent.models.build import MODEL_FORMS, ModelSettings, build_model

__all__ = ["MODEL_FORMS", "ModelSettings", "build_model"]
