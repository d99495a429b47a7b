"""How fast Headrace is, beside its peers, on this machine: `make bench`."""
