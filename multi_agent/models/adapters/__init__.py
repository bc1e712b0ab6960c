"""Language models: one module for each SDK or way of answering."""
