"""The CLIP, the heatmap processor beside it, and the folder they are kept in."""
