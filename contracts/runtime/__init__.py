"""What every server on the bus needs: one consumer, and the parts it is made of.

`consumer` runs a server; `handler` says what a kind of server adds. Knows the bus port, no adapter of it.
"""
