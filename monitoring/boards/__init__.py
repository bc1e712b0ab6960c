"""The dashboards, in the order in which to look at them."""

from monitoring.boards.agents import AGENTS
from monitoring.boards.bus_and_database import BUS_AND_DATABASE
from monitoring.boards.models import MODELS
from monitoring.boards.overview import OVERVIEW
from monitoring.boards.rollout import ROLLOUT
from monitoring.boards.sandbox import SANDBOX
from monitoring.boards.workflows import WORKFLOWS

BOARDS = (OVERVIEW, WORKFLOWS, AGENTS, MODELS, SANDBOX, BUS_AND_DATABASE, ROLLOUT)
