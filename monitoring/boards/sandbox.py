"""Programs that run in sandboxes."""

from monitoring.panels import Board, Lines, Query, quantiles

SANDBOX = Board(
    "sandbox",
    "multi-agent: sandbox hosts",
    "Programs at sandbox hosts: how many, how long, how they end.",
    (
        Lines(
            "Ends of programs",
            "By verdict.",
            (
                Query(
                    "sum by (verdict) (rate(multi_agent_sandbox_executions_total[$__rate_interval]))",
                    "{{verdict}}",
                ),
            ),
            "`oom` and `timeout` are limits that were reached; `policy` is a program that tried what no "
            "program may.",
            "ops",
        ),
        Lines(
            "Time of a program",
            "From taking a request to its result.",
            quantiles("multi_agent_sandbox_seconds"),
            "slow ones wait for the engine: see the host's load, and `multi-agent sandbox test`.",
            "s",
        ),
        Lines(
            "Running and waiting",
            "Programs that run, and requests that no host has read.",
            (
                Query("sum(multi_agent_sandbox_running)", "running"),
                Query("max(multi_agent_sandbox_waiting)", "waiting"),
            ),
            "start sandbox hosts, or give them more slots.",
        ),
        Lines(
            "Workers without a sandbox",
            "1 while some worker takes no work since something it needs is away.",
            (Query("max(multi_agent_worker_paused)", "paused"),),
            "read `work_paused` in the worker's log; start a sandbox host.",
            red_from=1,
        ),
        Lines(
            "Messages nobody could read",
            "At sandbox hosts.",
            (Query("sum(increase(multi_agent_sandbox_dead_messages_total[$__rate_interval]))", "messages"),),
            "see that hosts and workers are of one version: open Rollout.",
        ),
    ),
)
