"""Draft reports from retrieved ones: index, retriever, snippets, prompt, generators, sources, metrics."""
