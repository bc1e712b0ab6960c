"""JSON Schemas and the AsyncAPI document, generated from the models and checked for compatibility."""
