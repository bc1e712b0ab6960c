"""What a workflow comes to when it has ended: figures, verdicts, what it gives out."""
