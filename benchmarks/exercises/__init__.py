"""Small requests about one file: what agents make of them, beside one plain question and one plain loop."""
