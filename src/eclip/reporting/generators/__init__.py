"""What writes a draft, by name."""
