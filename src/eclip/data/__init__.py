"""From files on disk to a study store, and from a store to batches."""
