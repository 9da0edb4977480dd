"""Stand-ins for other libraries: applications written for those run on this one, unchanged."""
