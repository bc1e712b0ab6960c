"""What a virtual key may spend: the most that a request takes is charged before, and the rest goes back."""
