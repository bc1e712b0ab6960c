"""Language models behind one port. The composition root calls `build_model`."""

from __future__ import annotations

from multi_agent.models.build import MODEL_FORMS, ModelSettings, build_model

__all__ = ["MODEL_FORMS", "ModelSettings", "build_model"]
