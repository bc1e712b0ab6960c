"""Whether all is well; where not, which dashboard to open next."""

from monitoring.panels import Board, Lines, Number, Query, events

OVERVIEW = Board(
    "overview",
    "multi-agent: overview",
    "Whether all is well. Red numbers say what to do, and other dashboards why.",
    (
        Number(
            "Last turn of an orchestrator",
            "How long ago any orchestrator went round its loop: four times a second in health.",
            (Query("time() - max(multi_agent_last_turn_timestamp_seconds)"),),
            "see whether an orchestrator runs (`multi-agent status`) and start one; where one runs, look at "
            "the database first.",
            "s",
            30,
        ),
        Number(
            "Workers",
            "Workers that an orchestrator hears.",
            (Query("max(multi_agent_live_workers)"),),
            "start workers, or look into their logs; open Agents.",
            red_from=1,
            red_below=True,
        ),
        Number(
            "Redis or database away",
            "1 while an orchestrator waits for either.",
            (Query("max by (what) (multi_agent_away)", "{{what}}"),),
            "bring it back; work goes on by itself. Open Bus and database.",
            red_from=1,
        ),
        Number(
            "Workflows that failed, 1 h",
            "Part of the workflows that ended in an hour.",
            (
                Query(
                    f"{events('workflow.failed', window='1h')} / clamp_min("
                    f"{events('workflow.failed', 'workflow.completed', window='1h')}, 1)"
                ),
            ),
            "read why with `multi-agent why WORKFLOW`; open Workflows.",
            "percentunit",
            0.2,
        ),
        Number(
            "Dead letters, 24 h",
            "Tasks that took their workers down, and messages nobody could read.",
            (Query("sum(increase(multi_agent_dead_letters_total[24h]))"),),
            "list them with `multi-agent dead-letters list`; mend the cause, then retry or discard them.",
            red_from=1,
        ),
        Number(
            "Oldest wait for a person",
            "How long a task has waited for an approval, an answer or a budget.",
            (Query("max(multi_agent_oldest_waiting_seconds)"),),
            "see what waits with `multi-agent status`, then approve, answer or raise the budget.",
            "s",
            3_600,
        ),
        Number(
            "Oldest dispatch in a queue",
            "How long a task that could run has waited for a worker.",
            (Query("max(multi_agent_oldest_queued_seconds)"),),
            "start workers that serve the role; open Agents to see which.",
            "s",
            600,
        ),
        Number(
            "Cost, 24 h",
            "What models cost in a day, where their prices are known.",
            (Query("sum(increase(multi_agent_model_cost_dollars_total[24h]))"),),
            "open Models and cost to see which role spends; set budgets.",
            "currencyUSD",
        ),
        Number(
            "Grave findings, 24 h",
            "Critical findings of reviews.",
            (Query('sum(increase(multi_agent_review_findings_total{severity="critical"}[24h]))'),),
            "read the review of the task (`multi-agent artifacts WORKFLOW`) before its work is taken.",
            red_from=1,
        ),
        Number(
            "Workers that pause",
            "1 while some worker takes no work since its sandbox, store or bus is away.",
            (Query("max(multi_agent_worker_paused)"),),
            "read `work_paused` in the worker's log: it names what is away.",
            red_from=1,
        ),
        Lines(
            "Ends of workflows",
            "How many workflows ended in each way.",
            tuple(Query(events(f"workflow.{end}"), end) for end in ("completed", "failed", "cancelled")),
            "open Workflows.",
        ),
        Lines(
            "Open tasks",
            "Tasks of open workflows by what they wait for.",
            (Query("sum by (status) (multi_agent_open_tasks)", "{{status}}"),),
            "`waiting_...` needs a person, `ready` and `dispatched` need workers.",
        ),
    ),
)
