"""What a gateway adds to the time of a request, and what it takes of memory, beside others."""
