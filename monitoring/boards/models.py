"""Models: how they answer, and what they cost."""

from monitoring.panels import Board, Lines, Query, quantiles

_FAILED = 'sum(rate(multi_agent_model_requests_total{outcome!~"ok|cancelled"}[$__rate_interval]))'

_ALL = "sum(rate(multi_agent_model_requests_total[$__rate_interval]))"

MODELS = Board(
    "models",
    "multi-agent: models and cost",
    "How models answer, what they cost by role, and what the gateway lets through.",
    (
        Lines(
            "Questions by end",
            "Each try of a question to a model.",
            (
                Query(
                    "sum by (model, outcome) (rate(multi_agent_model_requests_total[$__rate_interval]))",
                    "{{model}} {{outcome}}",
                ),
            ),
            "`unavailable` is the service, `rejected` the key or the request, `blocked` its filter.",
            "reqps",
        ),
        Lines(
            "Questions that failed",
            "Part of all tries.",
            (Query(f"{_FAILED} / {_ALL} or {_ALL} * 0", "failed"),),
            "check the service's own page, key and quota; name a second model with a comma.",
            "percentunit",
            0.5,
        ),
        Lines(
            "Time to an answer",
            "Until a model has answered whole.",
            quantiles("multi_agent_model_seconds", "model"),
            "a slow model makes every execution slow: name another, or ask for shorter answers.",
            "s",
        ),
        Lines(
            "Cost by role",
            "Dollars in an hour, where prices are known.",
            (Query("sum by (role) (increase(multi_agent_model_cost_dollars_total[1h]))", "{{role}}"),),
            "`multi-agent budget show WORKFLOW` names the workflow; give it or its roles a budget.",
            "currencyUSD",
        ),
        Lines(
            "Tokens",
            "By role: in, out, and of those in the ones that the service had cached.",
            (
                Query(
                    "sum by (role, kind) (rate(multi_agent_model_tokens_total[$__rate_interval]))",
                    "{{role}} {{kind}}",
                ),
            ),
            "many tokens in for few out mean that too much is shown to the model.",
            "ops",
        ),
        Lines(
            "Cached input",
            "Part of the input that the service had from an earlier request.",
            (
                Query(
                    'sum(increase(multi_agent_model_tokens_total{kind="cached_input"}[1h])) / '
                    'sum(increase(multi_agent_model_tokens_total{kind="input"}[1h]))',
                    "cached",
                ),
            ),
            "where it falls, beginnings of requests changed, or the service keeps nothing.",
            "percentunit",
        ),
        Lines(
            "Answers used by role",
            "Answers that executions worked with.",
            (Query("sum by (role) (rate(multi_agent_model_calls_total[$__rate_interval]))", "{{role}}"),),
            "a role that asks without end shows here first: see its steps with `run --watch-steps`.",
            "reqps",
        ),
        Lines(
            "Gateway: requests",
            "Requests of callers by how they ended.",
            (
                Query(
                    "sum by (model, outcome) (rate(multi_agent_gateway_requests_total[$__rate_interval]))",
                    "{{model}} {{outcome}}",
                ),
            ),
            "`multi-agent debug requests` shows single ones.",
            "reqps",
        ),
        Lines(
            "Gateway: time",
            "Until the first bytes of a stream, and until the whole answer.",
            (
                *quantiles("multi_agent_gateway_first_seconds"),
                *quantiles("multi_agent_gateway_seconds"),
            ),
            "compare with the service's own latency above; the gateway adds milliseconds.",
            "s",
        ),
        Lines(
            "Gateway: tokens",
            "By model.",
            (
                Query(
                    "sum by (model, kind) (rate(multi_agent_gateway_tokens_total[$__rate_interval]))",
                    "{{model}} {{kind}}",
                ),
            ),
            "find the caller with `multi-agent debug requests`.",
            "ops",
        ),
        Lines(
            "Gateway: left of limits",
            "What keys may still spend, in dollars, tokens or requests.",
            (Query("min by (key, limit) (multi_agent_gateway_limit_left)", "{{key}} {{limit}}"),),
            "raise the limit of the key, or tell its holder.",
        ),
        Lines(
            "Gateway: streams and lost records",
            "Streams under way, and requests that its log does not have.",
            (
                Query("sum(multi_agent_gateway_open_streams)", "streams"),
                Query("sum(increase(multi_agent_gateway_dropped_records_total[$__rate_interval]))", "lost"),
            ),
            "records are lost where its disk is slow or full.",
        ),
    ),
)
