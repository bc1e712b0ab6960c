"""`multi-agent debug`: what the gateway's request log says."""
