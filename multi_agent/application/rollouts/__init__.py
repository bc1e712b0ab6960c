"""Rollouts: started, judged, promoted, rolled back, and recorded."""
