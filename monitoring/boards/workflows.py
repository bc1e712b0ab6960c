"""What becomes of requests."""

from monitoring.panels import Board, Lines, Query, events, quantiles

WORKFLOWS = Board(
    "workflows",
    "multi-agent: workflows",
    "What becomes of requests, and what they wait for.",
    (
        Lines(
            "Submitted and ended",
            "How many workflows began and ended.",
            tuple(
                Query(events(f"workflow.{kind}"), kind)
                for kind in ("submitted", "completed", "failed", "cancelled", "retried", "offered")
            ),
            "`multi-agent why WORKFLOW` says why one failed; `retry` gives its tasks fresh attempts.",
        ),
        Lines(
            "Open workflows",
            "Workflows that orchestrators hold in memory.",
            (Query("sum(multi_agent_open_workflows)", "open"),),
            "where it only grows, more is submitted than done: add workers.",
        ),
        Lines(
            "Time to the end",
            "How long workflows took, by how they ended.",
            quantiles("multi_agent_workflow_seconds", "status"),
            "compare with the times of tasks in Agents and of models in Models and cost.",
            "s",
        ),
        Lines(
            "Tasks by status",
            "Tasks that have not ended.",
            (Query("sum by (status) (multi_agent_open_tasks)", "{{status}}"),),
            "`multi-agent why WORKFLOW` names what each task waits for.",
        ),
        Lines(
            "Waits for a person",
            "How long the oldest task has waited, as far as the orchestrator has seen.",
            (Query("max by (status) (multi_agent_oldest_waiting_seconds)", "{{status}}"),),
            "`multi-agent status` lists what waits; approve, answer or raise the budget.",
            "s",
            3_600,
        ),
        Lines(
            "Attempts again",
            "Dispatches, and attempts that failed, found something away, or lost their worker.",
            tuple(
                Query(events(f"task.{kind}"), kind)
                for kind in ("dispatched", "retrying", "delayed", "lost", "passed_on")
            ),
            "`retrying` is the work or the model, `delayed` a sandbox or store, `lost` a worker that died.",
        ),
        Lines(
            "Debug cycles",
            "Reports that said `failed`, tests that were called wrong, plans that were asked for.",
            tuple(
                Query(events(f"task.{kind}"), kind)
                for kind in ("to_be_fixed", "contested", "needs_plan", "suspended", "answered", "approved")
            ),
            "many cycles for each workflow mean that the model or the request is not good enough.",
        ),
        Lines(
            "Tasks that failed for good",
            "Tasks that ended without success, and dead letters.",
            (Query(events("task.failed"), "failed"), Query(events("task.dead_lettered"), "dead letter")),
            "`multi-agent status WORKFLOW` shows each error; `multi-agent dead-letters list` the others.",
        ),
        Lines(
            "Least budget left",
            "Of the workflow with least left, what it may still spend; what is set aside counts as spent.",
            (Query("min(multi_agent_budget_left_ratio)", "left"),),
            "`multi-agent budget show WORKFLOW` says on what; raise it, or cancel the workflow.",
            "percentunit",
        ),
        Lines(
            "Refused",
            "Outcomes that came too late or from the wrong worker, and commands that did not apply.",
            (
                Query(events("outcome.refused"), "outcomes"),
                Query(events("command.refused"), "commands"),
            ),
            "a few follow every lost worker; a steady rate means that clocks, leases or workers are unwell.",
        ),
    ),
)
