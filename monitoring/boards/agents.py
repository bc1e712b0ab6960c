"""Who works, on what, and how well."""

from monitoring.panels import Board, Lines, Query, quantiles

AGENTS = Board(
    "agents",
    "multi-agent: agents",
    "Workers and roles: what waits for them, how long they take, what comes of it.",
    (
        Lines(
            "Workers",
            "Workers that are heard, and those that pause since something is away.",
            (
                Query("max(multi_agent_live_workers)", "living"),
                Query("max(multi_agent_worker_paused)", "any paused"),
            ),
            "`multi-agent status` lists workers with host and pid; their logs say why they left or pause.",
            red_from=1,
            red_below=True,
        ),
        Lines(
            "Queue by role",
            "How long the oldest dispatch of a role has waited for a worker.",
            (Query("max by (role) (multi_agent_oldest_queued_seconds)", "{{role}}"),),
            "start workers that serve the role (`worker --role`), or with more slots.",
            "s",
            600,
        ),
        Lines(
            "Ready and dispatched by role",
            "Tasks that could run now.",
            (
                Query(
                    'sum by (role, status) (multi_agent_open_tasks{status=~"ready|dispatched"})',
                    "{{role}} {{status}}",
                ),
            ),
            "a role with `dispatched` and no outcomes has no worker, or one that is stuck.",
        ),
        Lines(
            "Outcomes",
            "Executions by role and how they ended.",
            (
                Query(
                    "sum by (role, status) (rate(multi_agent_task_outcomes_total[$__rate_interval]))",
                    "{{role}} {{status}}",
                ),
            ),
            "`task_finished` in the workers' logs has the code of each error.",
            "ops",
        ),
        Lines(
            "Time of an execution",
            "How long executions take, by role.",
            quantiles("multi_agent_task_seconds", "role"),
            "compare with the latency in Models and cost and the time of programs in Sandbox.",
            "s",
        ),
        Lines(
            "Lost and silent",
            "Executions whose worker died, and workers that were silent for a lease.",
            (
                Query("sum(increase(multi_agent_lost_executions_total[$__rate_interval]))", "lost"),
                Query("sum(increase(multi_agent_lease_expiries_total[$__rate_interval]))", "silent"),
            ),
            "lost ones were killed (memory?), silent ones are starved or cut off; see the host.",
        ),
        Lines(
            "Verdicts",
            "What tests and reviews said about the work.",
            (
                Query(
                    "sum by (role, verdict) (rate(multi_agent_verdicts_total[$__rate_interval]))",
                    "{{role}} {{verdict}}",
                ),
            ),
            "look at `Debug cycles` in Workflows, then at the reports of a failed one.",
            "ops",
        ),
        Lines(
            "Coverage",
            "Lines of the code under test that its tests ran, on average.",
            (
                Query(
                    "sum by (role) (rate(multi_agent_coverage_percent_sum[$__rate_interval])) / "
                    "sum by (role) (rate(multi_agent_coverage_percent_count[$__rate_interval]))",
                    "{{role}}",
                ),
            ),
            "ask for tests in the plan's criteria.",
            "percent",
        ),
        Lines(
            "Findings of reviews",
            "By role and severity.",
            (
                Query(
                    "sum by (role, severity) (increase(multi_agent_review_findings_total[$__rate_interval]))",
                    "{{role}} {{severity}}",
                ),
            ),
            "read critical ones before the work is taken: `multi-agent artifacts WORKFLOW`.",
        ),
        Lines(
            "Messages nobody could read",
            "At workers.",
            (Query("sum(increase(multi_agent_dead_messages_total[$__rate_interval]))", "messages"),),
            "`multi-agent dead-letters show 1` has the bytes; another version or program writes to Redis.",
        ),
    ),
)
