"""Which actions wait for a person, what exactly is approved, and how an approval is used up. Pure."""
