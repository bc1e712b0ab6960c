"""Names of attributes. Those of OpenTelemetry's conventions for generative AI stand here alone."""

from __future__ import annotations

from typing import Final

CONVENTIONS: Final = "gen_ai 0.1.0 (development)"
"""The version of the conventions that these names follow; all of them may change before it is stable."""
SCHEMA_URL: Final = "https://opentelemetry.io/schemas/gen-ai/0.1.0"

OPERATION: Final = "gen_ai.operation.name"
"""`chat`, `execute_tool` or `invoke_agent`."""
AGENT: Final = "gen_ai.agent.name"
"""The role."""
CONVERSATION: Final = "gen_ai.conversation.id"
"""The workflow."""
MODEL: Final = "gen_ai.response.model"
INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
CACHED_TOKENS: Final = "gen_ai.usage.cache_read.input_tokens"
TOOL: Final = "gen_ai.tool.name"
ERROR: Final = "error.type"
"""The code of an error."""

# What the conventions have no name for.
COST: Final = "multi_agent.cost_usd"
WORKFLOW_ID: Final = "multi_agent.workflow.id"
TASK_ID: Final = "multi_agent.task.id"
ATTEMPT_NUMBER: Final = "multi_agent.attempt"
DISPATCH_ID: Final = "multi_agent.dispatch.id"
WORKER_ID: Final = "multi_agent.worker.id"
OUTCOME: Final = "multi_agent.outcome"
PURPOSE: Final = "multi_agent.purpose"
STAND_IN: Final = "multi_agent.stand_in"
REFUSED: Final = "multi_agent.refused"
COMMIT: Final = "multi_agent.commit"
DECISION_KIND: Final = "multi_agent.decision"
ADDED: Final = "multi_agent.tasks_added"
TIME_KNOWN: Final = "multi_agent.time_known"
RETRIES: Final = "multi_agent.retries"
REFUSED_OUTCOMES: Final = "multi_agent.outcomes_refused"
HOPS: Final = "hop.count"
"""To how many workers a dispatch went."""
