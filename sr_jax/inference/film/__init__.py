"""Films through a network: planned, in batches and pieces, resumed and joined."""
