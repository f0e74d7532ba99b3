"""What a model needs, in bytes."""
