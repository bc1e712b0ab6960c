"""An agent of your own: a role, and what it does with a task."""

from __future__ import annotations

from agents import AgentResult, Task, agent

FRENCH = {"good": "bonne", "morning": "matinée", "hello": "bonjour", "world": "monde"}


@agent(role="translator")
class Translator:
    """Takes the task's description; gives its translation in every file the task may write."""

    async def run(self, task: Task) -> AgentResult:
        words = task.item.description.lower().split()
        text = " ".join(FRENCH.get(word, word) for word in words)
        return AgentResult(files=dict.fromkeys(task.item.output_artifacts, text + "\n"), summary=text)
