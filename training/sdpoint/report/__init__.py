"""Pages of results from the JSON files that sweeps leave."""
