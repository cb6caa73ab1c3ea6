"""From batches to weights to scores."""
