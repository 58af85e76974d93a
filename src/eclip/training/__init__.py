"""From a recipe and a store to a model folder."""
