"""A look into a store: counts, checks, pictures; what `eclip data inspect` shows."""
