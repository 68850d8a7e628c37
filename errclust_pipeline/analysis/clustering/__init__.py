"""Clusters of embedded texts: kNN graph, nested communities, density clusters, 2-D layout."""
